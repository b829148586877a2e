"""One position of a causal depthwise convolution, as the equation says it.

    y_t = bias + sum_j weight_j x_{t - (W - 1) + j},  j = 0 .. W - 1,

then silu where asked for: the last position of `causal_conv1d` over the window and x_t.
"""

import torch
from torch import Tensor

from genolm_kernels.causal_conv1d.reference import reference as causal_conv1d


def reference(
    window: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, silu: bool
) -> tuple[Tensor, Tensor]:
    """Convolve one position; arguments as in `genolm_kernels.causal_conv1d_step`.

    Returns:
        y (batch, channels) in x's type, computed in float32 or, where x is, float64, and the new
        window (batch, width - 1, channels) in the old one's type.
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    seen = torch.cat((window.to(dtype), x[:, None].to(dtype)), dim=1)
    y = causal_conv1d(seen, weight, bias, silu, False)[:, -1]
    return y.to(x.dtype), seen[:, 1:].to(window.dtype, copy=True)
