"""Residual sum and norm, as the equations say it.

    s = hidden + residual
    RMSNorm:    n = s / sqrt(mean(s²) + eps) * weight + bias          (arXiv 1910.07467, equation 4)
    LayerNorm:  n = (s - mean(s)) / sqrt(mean((s - mean(s))²) + eps) * weight + bias
                                                                      (arXiv 1607.06450, section 3)

with means over channels: the pre-norm residual stream of Mamba's and Caduceus' blocks.
"""

import torch
from torch import Tensor


def reference(
    hidden: Tensor,
    residual: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    eps: float,
    rms: bool,
) -> tuple[Tensor, Tensor]:
    """Add, then normalise; arguments as in `genolm_kernels.add_norm`.

    Returns:
        The normed sum in weight's type, and the sum; both (batch, length, d_model).
    """
    total = widen(hidden) if residual is None else widen(hidden) + widen(residual)
    centred = total if rms else total - total.mean(-1, keepdim=True)
    normed = centred * torch.rsqrt((centred * centred).mean(-1, keepdim=True) + eps)
    scaled = normed * widen(weight)
    return (scaled if bias is None else scaled + widen(bias)).to(weight.dtype), total


def widen(tensor: Tensor) -> Tensor:
    """The tensor in float32, or float64 where it is that."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
