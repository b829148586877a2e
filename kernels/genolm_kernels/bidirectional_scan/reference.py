"""Two selective scans, as the equation says it.

    y_t = (scan(forward)_t + scan(backward, from the last position)_t) * silu(z_t)

Schiff et al., "Caduceus: Bi-Directional Equivariant Long-Range DNA Sequence Modeling"
(arXiv 2403.03234), section 3.1: BiMamba with shared projections, in which the gate is shared too.
"""

import torch.nn.functional as F
from torch import Tensor

from genolm_kernels.selective_scan.reference import reference as scan
from genolm_kernels.selective_scan.reference import state_dtype


def reference(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    delta_bias: Tensor | None,
    u_back: Tensor,
    delta_back: Tensor,
    A_back: Tensor,
    B_back: Tensor,
    C_back: Tensor,
    D_back: Tensor | None,
    delta_bias_back: Tensor | None,
    z: Tensor | None,
    delta_softplus: bool,
) -> Tensor:
    """Scan twice; arguments as in `genolm_kernels.bidirectional_scan`, those of one after another.

    Returns:
        y (batch, length, d_inner) in u's type; sum and gate are computed in float32 at least.
    """
    first = (u, delta, A, B, C, D, delta_bias)
    second = (u_back, delta_back, A_back, B_back, C_back, D_back, delta_bias_back)
    dtype = state_dtype(*first, *second, z)
    ways = []
    for way, reverse in ((first, False), (second, True)):
        u_way, delta_way, A_way, B_way, C_way, D_way, bias = way
        args = (u_way.to(dtype), delta_way, A_way, B_way, C_way, D_way, None, bias, None)
        ways.append(scan(*args, delta_softplus, reverse)[0])
    y = ways[0] + ways[1]
    if z is not None:
        y = y * F.silu(z.to(dtype))
    return y.to(u.dtype)
