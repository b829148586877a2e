"""Causal depthwise convolution, as the equation says it.

    y_t = bias + sum_j weight_j x_{t - (W - 1) + j},  j = 0 .. W - 1,  x = 0 outside the sequence,

then silu where asked for; reversed: y_t = bias + sum_j weight_j x_{t + (W - 1) - j}.
The short convolution of Mamba (arXiv 2312.00752, figure 3) and Hyena (arXiv 2302.10866, section 3).
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def reference(x: Tensor, weight: Tensor, bias: Tensor | None, silu: bool, reverse: bool) -> Tensor:
    """Sum over shifted copies; arguments as in `genolm_kernels.causal_conv1d`.

    Returns:
        y (batch, length, channels) in x's type, computed in float32 or, where x is, float64.
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    length, width = x.shape[1], weight.shape[1]
    taps = weight.to(dtype).unbind(1)
    padded = F.pad(x.to(dtype), (0, 0, 0, width - 1) if reverse else (0, 0, width - 1, 0))
    y = torch.zeros_like(x, dtype=dtype) if bias is None else bias.to(dtype).expand(x.shape)
    for j, tap in enumerate(reversed(taps) if reverse else taps):
        y = y + tap * padded[:, j : j + length]
    return (F.silu(y) if silu else y).to(x.dtype)
