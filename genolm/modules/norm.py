"""Normalisation over channels, computed in float32 at least."""

from torch import Tensor, nn

from genolm_kernels import add_norm


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
        return self.add(_as_sequence(x), None)[0].view(x.shape)

    def add(
        self, hidden: Tensor, residual: Tensor | None, *, mirrored: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Add to the residual stream and normalise the sum, in one pass.

        Args:
            hidden: What is added (batch, length, d_model).
            residual: The stream before, or None if hidden is its beginning.
            mirrored: Whether channels are in the opposite order.

        Returns:
            The normed sum in the weight's type, and the sum, in float32 at least.
        """
        assert self.eps is not None
        weight = self.weight.flip(0) if mirrored else self.weight
        return add_norm(hidden, residual, weight, eps=self.eps, rms=True)


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
        return self.add(_as_sequence(input), None)[0].view(input.shape)

    def add(
        self, hidden: Tensor, residual: Tensor | None, *, mirrored: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Add to the residual stream and normalise the sum, in one pass; see `RMSNorm.add`."""
        weight: Tensor = self.weight.flip(0) if mirrored else self.weight
        bias: Tensor = self.bias.flip(0) if mirrored else self.bias
        return add_norm(hidden, residual, weight, bias, eps=self.eps, rms=False)


def make_norm(d_model: int, eps: float, *, rms: bool) -> RMSNorm | LayerNorm:
    """Build the norm a config asks for: RMSNorm, or LayerNorm with bias."""
    return RMSNorm(d_model, eps) if rms else LayerNorm(d_model, eps)


def _as_sequence(x: Tensor) -> Tensor:
    return x if x.dim() == 3 else x.reshape(1, -1, x.shape[-1])
