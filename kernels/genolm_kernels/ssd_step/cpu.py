"""One position of state-space duality on the CPU: groups of heads as one batched product.

Plain operations of torch, which differentiates them itself: at this size the dispatch of a custom
operator would take longer than the work.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from genolm_kernels.ssd.reference import state_dtype, step_sizes


def cpu(
    state: Tensor,
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    dt_softplus: bool,
) -> tuple[Tensor, Tensor]:
    """Take one step; arguments as in `genolm_kernels.ssd_step`.

    Returns:
        y (batch, heads, headdim) in x's type, and the new state (batch, heads, headdim, d_state)
        in float32, or float64 where any input is.
    """
    dtype = state_dtype(state, x, dt, A, B, C, D, z, dt_bias)
    inputs, sizes = x.to(dtype), step_sizes(dt, dt_bias, dt_softplus, dtype)
    batch, heads, headdim, d_state = state.shape
    groups = B.shape[1]
    rows = heads // groups * headdim  # of one group

    stepped = (sizes.unsqueeze(-1) * inputs).reshape(batch, groups, rows, 1)
    added = (stepped * B.to(dtype).unsqueeze(2)).view(state.shape)
    decay = torch.exp(sizes * A.to(dtype))[..., None, None]
    new_state = torch.addcmul(added, decay, state.to(dtype))
    read = new_state.view(batch, groups, rows, d_state) @ C.to(dtype).unsqueeze(-1)
    y = read.view(x.shape)
    if D is not None:
        y = torch.addcmul(y, D.to(dtype).unsqueeze(-1), inputs)
    if z is not None:
        y = y * F.silu(z.to(dtype))
    return y.to(x.dtype), new_state
