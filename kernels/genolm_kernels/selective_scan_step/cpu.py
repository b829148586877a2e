"""One position of a selective scan on the CPU: groups of channels as one batched product.

Plain operations of torch, which differentiates them itself: at this size the dispatch of a custom
operator would take longer than the work.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from genolm_kernels.selective_scan.reference import state_dtype


def cpu(
    state: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
) -> tuple[Tensor, Tensor]:
    """Take one step; B and C are (batch, groups, d_state).

    Other arguments as in `genolm_kernels.selective_scan_step`.

    Returns:
        y (batch, d_inner) in u's type, and the new state (batch, d_inner, d_state) in float32, or
        float64 where any input is.
    """
    dtype = state_dtype(state, u, delta, A, B, C, D, z, delta_bias)
    inputs, dt = u.to(dtype), delta.to(dtype)
    if delta_bias is not None:
        dt = dt + delta_bias.to(dtype)
    if delta_softplus:
        dt = F.softplus(dt)
    batch, d_inner, d_state = state.shape
    by_B, by_C = ((batch, m.shape[1], d_inner // m.shape[1]) for m in (B, C))

    added = (dt * inputs).view(*by_B, 1) * B.to(dtype).unsqueeze(2)
    decay = torch.exp(dt.unsqueeze(-1) * A.to(dtype))
    new_state = torch.addcmul(added.view(state.shape), decay, state.to(dtype))
    read = new_state.view(*by_C, d_state) @ C.to(dtype).unsqueeze(-1)
    y = read.view(batch, d_inner)
    if D is not None:
        y = torch.addcmul(y, D.to(dtype), inputs)
    if z is not None:
        y = y * F.silu(z.to(dtype))
    return y.to(u.dtype), new_state
