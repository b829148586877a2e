"""Normalisation over channels, computed in float32 at least."""

from torch import Tensor, nn
from torch.nn import functional

from genolm.modules.precision import at_least_float32


class RMSNorm(nn.RMSNorm):
    """x / sqrt(mean(x²) + eps) * weight (Zhang and Sennrich 2019, equation 4).

    Args:
        d_model: Number of channels.
        eps: Added to the mean square.
    """

    def __init__(self, d_model: int, eps: float = 1e-5) -> None:
        super().__init__(d_model, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (..., d_model); the result has the weight's type."""
        weight = at_least_float32(self.weight)
        wide = at_least_float32(x)
        return functional.rms_norm(wide, self.normalized_shape, weight, self.eps).to(
            self.weight.dtype
        )


class LayerNorm(nn.LayerNorm):
    """(x - mean) / sqrt(variance + eps) * weight + bias (Ba et al. 2016).

    Args:
        d_model: Number of channels.
        eps: Added to the variance.
    """

    def __init__(self, d_model: int, eps: float = 1e-5) -> None:
        super().__init__(d_model, eps=eps)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise input (..., d_model); the result has the weight's type."""
        weight, bias = at_least_float32(self.weight), at_least_float32(self.bias)
        wide = at_least_float32(input)
        return functional.layer_norm(wide, self.normalized_shape, weight, bias, self.eps).to(
            self.weight.dtype
        )


def make_norm(d_model: int, eps: float, *, rms: bool) -> nn.Module:
    """Build the norm a config asks for: RMSNorm, or LayerNorm with bias."""
    return RMSNorm(d_model, eps) if rms else LayerNorm(d_model, eps)
