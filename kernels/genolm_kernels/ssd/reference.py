"""State-space duality, as the recurrence says it.

    h_t = exp(dt_t A) h_{t-1} + dt_t x_t B_tᵀ        y_t = (h_t C_t + D x_t) * silu(z_t)

with dt = softplus(dt + dt_bias) or dt + dt_bias: one decay for each head, states of headdim by
d_state. Dao and Gu, "Transformers are SSMs" (arXiv 2405.21060), equations 1 and 2 with the scalar
times identity structure of section 5.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def state_dtype(*tensors: Tensor | None) -> torch.dtype:
    """float64 if any of the tensors is, else float32: the type that the state is kept in."""
    present = [tensor.dtype for tensor in tensors if tensor is not None]
    return torch.float64 if torch.float64 in present else torch.float32


def step_sizes(dt: Tensor, dt_bias: Tensor | None, dt_softplus: bool, dtype: torch.dtype) -> Tensor:
    """Step sizes (..., heads) from what they are computed of, in this type."""
    sizes = dt.to(dtype)
    if dt_bias is not None:
        sizes = sizes + dt_bias.to(dtype)
    return F.softplus(sizes) if dt_softplus else sizes


def reference(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    initial_state: Tensor | None,
    dt_softplus: bool,
    chunk_size: int,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    """Step through the sequence; arguments as in `genolm_kernels.ssd`.

    Returns:
        y (batch, length, heads, headdim) in x's type, and the last state (batch, heads, headdim,
        d_state) in float32, or float64 where any input is.
    """
    batch, _, heads, headdim = x.shape
    dtype = state_dtype(x, dt, A, B, C, D, z, dt_bias, initial_state)
    sizes = step_sizes(dt, dt_bias, dt_softplus, dtype)
    inputs = x.to(dtype)
    B, C = (m.to(dtype).repeat_interleave(heads // m.shape[2], dim=2) for m in (B, C))
    decay = torch.exp(sizes * A.to(dtype))[..., None, None]
    added = (sizes[..., None] * inputs)[..., None] * B[..., None, :]

    if initial_state is None:
        state = inputs.new_zeros(batch, heads, headdim, B.shape[-1])
    else:
        state = initial_state.to(dtype)
    # Unbound at once: a slice for each step would fill a whole tensor each in the backward pass.
    steps = list(zip(decay.unbind(1), added.unbind(1), C.unsqueeze(3).unbind(1), strict=True))
    outputs: list[Tensor] = []
    for decay_t, added_t, C_t in reversed(steps) if reverse else steps:
        state = decay_t * state + added_t
        outputs.append((state * C_t).sum(-1))
    y = torch.stack(outputs[::-1] if reverse else outputs, dim=1)

    if D is not None:
        y = y + D.to(dtype)[:, None] * inputs
    if z is not None:
        y = y * F.silu(z.to(dtype))
    return y.to(x.dtype), state
