"""One position of a selective scan on the GPU, in one launch: what the CPU would do in ten."""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from genolm_kernels._triton import Compilation

ELEMENTS = 512  # of the state, in a program: channels times padded d_state
MOST_CHANNELS = 64


def triton_selective_scan_step(
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
        y (batch, d_inner) in u's type, and the new state (batch, d_inner, d_state) in float32.
    """
    found: tuple[Tensor, Tensor] = _scan_step(
        state, u, delta, A, B, C, D, z, delta_bias, delta_softplus
    )
    return found


@torch.library.custom_op("genolm::selective_scan_step_triton", mutates_args=())
def _scan_step(
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
    batch, d_inner, d_state = state.shape
    y, new_state = _outputs(state, u)
    if state.numel() == 0:
        return y.zero_(), new_state
    block, padded = tile(d_state)
    inputs = u.contiguous()
    with torch.cuda.device_of(u):
        step[(triton.cdiv(d_inner, block) * batch,)](
            state.contiguous(),
            inputs,
            delta.contiguous(),
            A.contiguous(),
            B.contiguous(),
            C.contiguous(),
            inputs if D is None else D.contiguous(),
            inputs if z is None else z.contiguous(),
            inputs if delta_bias is None else delta_bias.contiguous(),
            y,
            new_state,
            d_inner,
            d_state,
            B.shape[1],
            C.shape[1],
            0 if D is None else d_inner,
            0 if z is None else d_inner,
            0 if delta_bias is None else d_inner,
            SOFTPLUS=delta_softplus,
            BLOCK=block,
            STATES=padded,
            num_warps=1,
        )
    return y, new_state


@_scan_step.register_fake
def _scan_step_fake(
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
    return _outputs(state, u)


def _outputs(state: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    return u.new_empty(u.shape), state.new_empty(state.shape, dtype=torch.float32)


def tile(d_state: int) -> tuple[int, int]:
    """Channels of a program, and the padded size of their states."""
    padded = triton.next_power_of_2(d_state)
    return max(1, min(MOST_CHANNELS, ELEMENTS // padded)), padded


@triton.jit
def softplus(x):
    """log(1 + exp(x)), to the last bits where it is small too."""
    small = tl.exp(-tl.abs(x))
    one_more = 1.0 + small
    lost = one_more - 1.0
    # Kahan's logarithm: the rounding of 1 + small is divided out again.
    tail = tl.where(
        lost == 0.0, small, tl.log(one_more) * (small / tl.where(lost == 0.0, 1.0, lost))
    )
    return tl.maximum(x, 0.0) + tail


@triton.jit
def step(
    state_ptr,
    u_ptr,
    delta_ptr,
    A_ptr,
    B_ptr,
    C_ptr,
    D_ptr,
    z_ptr,
    bias_ptr,
    y_ptr,
    new_state_ptr,
    d_inner,
    d_state,
    B_groups,
    C_groups,
    D_channels,
    z_channels,
    bias_channels,
    SOFTPLUS: tl.constexpr,
    BLOCK: tl.constexpr,
    STATES: tl.constexpr,
):
    """Take one step of a block of channels of one sequence."""
    # One axis of programs, since the others end at 65535.
    blocks = tl.cdiv(d_inner, BLOCK)
    c = tl.program_id(0) % blocks * BLOCK + tl.arange(0, BLOCK)
    n = tl.arange(0, STATES)[None, :]
    sequence = (tl.program_id(0) // blocks).to(tl.int64)
    row = sequence * d_inner
    place = c[:, None] * d_state + n
    mask = (c[:, None] < d_inner) & (n < d_state)

    u = tl.load(u_ptr + row + c, c < d_inner, other=0.0).to(tl.float32)
    dt = tl.load(delta_ptr + row + c, c < d_inner, other=0.0).to(tl.float32)
    dt += tl.load(bias_ptr + c, c < bias_channels, other=0.0).to(tl.float32)
    if SOFTPLUS:
        dt = softplus(dt)
    A = tl.load(A_ptr + place, mask, other=0.0).to(tl.float32)
    B_group = (c // (d_inner // B_groups))[:, None]
    B = tl.load(B_ptr + sequence * B_groups * d_state + B_group * d_state + n, mask, other=0.0)
    C_group = (c // (d_inner // C_groups))[:, None]
    C = tl.load(C_ptr + sequence * C_groups * d_state + C_group * d_state + n, mask, other=0.0)

    state = tl.load(state_ptr + row * d_state + place, mask, other=0.0).to(tl.float32)
    state = tl.exp(dt[:, None] * A) * state + (dt * u)[:, None] * B.to(tl.float32)
    tl.store(new_state_ptr + row * d_state + place, state, mask)
    y = tl.sum(state * C.to(tl.float32), 1)
    y += tl.load(D_ptr + c, c < D_channels, other=0.0).to(tl.float32) * u
    z = tl.load(z_ptr + row + c, c < z_channels, other=0.0).to(tl.float32)
    y = tl.where(c < z_channels, y * z * tl.sigmoid(z), y)
    tl.store(y_ptr + row + c, y.to(y_ptr.dtype.element_ty), c < d_inner)


def compilations() -> list[Compilation]:
    """States of 16 with inputs of every type, and a state of 256."""
    return [
        *(_compilation(dtype, 16, True) for dtype in ("fp32", "bf16", "fp16")),
        _compilation("bf16", 256, False),
    ]


def _compilation(dtype: str, d_state: int, softplus: bool) -> Compilation:
    wide = ("state_ptr", "A_ptr", "D_ptr", "bias_ptr", "new_state_ptr")
    kinds = {n: f"*{dtype}" for n in step.arg_names if n.endswith("_ptr")}
    kinds |= dict.fromkeys(wide, "*fp32")
    sizes = ("d_inner", "d_state", "B_groups", "C_groups")
    kinds |= dict.fromkeys((*sizes, "D_channels", "z_channels", "bias_channels"), "i32")
    block, padded = tile(d_state)
    constants: dict[str, Any] = {"SOFTPLUS": softplus, "BLOCK": block, "STATES": padded}
    return Compilation(
        name=f"step d_state={d_state} {dtype} softplus={softplus}",
        kernel=step,
        signature=kinds,
        constants=constants,
        num_warps=1,
        aligned=tuple(name for name in kinds if not name.endswith("_groups")),
    )
