"""One position of a causal depthwise convolution on the CPU: a product and a sum.

Plain operations of torch, which differentiates them itself: at this size the dispatch of a custom
operator would take longer than the work.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def cpu(
    window: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, silu: bool
) -> tuple[Tensor, Tensor]:
    """Convolve one position; arguments as in `genolm_kernels.causal_conv1d_step`.

    Returns:
        y (batch, channels) in x's type, computed in float32 or, where x is, float64, and the new
        window (batch, width - 1, channels) in the old one's type.
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    seen = torch.cat((window.to(dtype), x[:, None].to(dtype)), dim=1)
    y = (seen * weight.to(dtype).t()).sum(1)
    if bias is not None:
        y = y + bias.to(dtype)
    return (F.silu(y) if silu else y).to(x.dtype), seen[:, 1:].to(window.dtype, copy=True)
