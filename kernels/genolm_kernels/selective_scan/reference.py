"""The selective scan, as the equation says it.

    h_t = exp(dt_t A) * h_{t-1} + dt_t B_t u_t        y_t = (<C_t, h_t> + D u_t) * silu(z_t)

with dt = softplus(delta + delta_bias) or delta + delta_bias: zero-order hold for A, Euler for B.
Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces" (arXiv 2312.00752),
algorithm 2.
Letters: B batch, L length, D channels, N state, G groups.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def state_dtype(*tensors: Tensor | None) -> torch.dtype:
    """float64 if any of the tensors is, else float32: the type that the state is kept in."""
    present = [tensor.dtype for tensor in tensors if tensor is not None]
    return torch.float64 if torch.float64 in present else torch.float32


def by_position(matrix: Tensor, batch: int, length: int) -> Tensor:
    """View of B or C as (batch, length, groups, d_state), whichever of its three forms it has."""
    if matrix.dim() == 2:
        return matrix.expand(batch, length, *matrix.shape)
    return matrix.unsqueeze(2) if matrix.dim() == 3 else matrix


def reference(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    initial_state: Tensor | None,
    delta_softplus: bool,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    """Step through the sequence; arguments as in `genolm_kernels.selective_scan`.

    Returns:
        y (batch, length, d_inner) in u's type, and the last state (batch, d_inner, d_state) in
        float32, or float64 where any input is.
    """
    batch, length, d_inner = u.shape
    dtype = state_dtype(u, delta, A, B, C, D, z, delta_bias, initial_state)
    dt = delta.to(dtype)
    if delta_bias is not None:
        dt = dt + delta_bias.to(dtype)
    if delta_softplus:
        dt = F.softplus(dt)
    inputs = u.to(dtype)
    A = A.to(dtype)
    B = by_position(B.to(dtype), batch, length)
    C = by_position(C.to(dtype), batch, length)

    if initial_state is None:
        state = inputs.new_zeros(batch, d_inner, A.shape[1])
    else:
        state = initial_state.to(dtype)
    outputs: list[Tensor] = []
    for t in reversed(range(length)) if reverse else range(length):
        B_t = B[:, t].repeat_interleave(d_inner // B.shape[2], dim=1)  # (B, D, N)
        C_t = C[:, t].repeat_interleave(d_inner // C.shape[2], dim=1)
        decay = torch.exp(dt[:, t, :, None] * A)
        state = decay * state + (dt[:, t] * inputs[:, t]).unsqueeze(-1) * B_t
        outputs.append((state * C_t).sum(-1))
    y = torch.stack(outputs[::-1] if reverse else outputs, dim=1)

    if D is not None:
        y = y + D.to(dtype) * inputs
    if z is not None:
        y = y * F.silu(z.to(dtype))
    return y.to(u.dtype), state
