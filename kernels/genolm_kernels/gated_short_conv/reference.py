"""Short convolution and gate, as the equations say it.

    p_t = bias + sum_j weight_j x_{t - (W - 1) + j},  j = 0 .. W - 1,  x = 0 outside the sequence,

of which the channels fall into `parts` blocks g_1 .. g_{parts - 1}, v:

    gated_t = v_t * g_{parts - 1, t},     rest_t = [g_{1, t} .. g_{parts - 2, t}].

Reversed, x_{t + (W - 1) - j}. The projections of Hyena (arXiv 2302.10866, section 3), of which the
first recurrence of the operator (definition 3.1) multiplies the last two.
"""

import torch
from torch import Tensor

from genolm_kernels.causal_conv1d.reference import reference as causal_conv1d


def reference(
    x: Tensor, weight: Tensor, bias: Tensor | None, parts: int, reverse: bool
) -> tuple[Tensor, Tensor]:
    """Convolve, then multiply; arguments as in `genolm_kernels.gated_short_conv`.

    Returns:
        gated (batch, length, d) and rest (batch, length, (parts - 2) * d) in x's type, computed
        in float32 or, where x is, float64.
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    convolved = causal_conv1d(wide, weight, bias, False, reverse)
    d = x.shape[2] // parts
    gated = convolved[..., -d:] * convolved[..., -2 * d : -d]
    return gated.to(x.dtype), convolved[..., : -2 * d].to(x.dtype)
