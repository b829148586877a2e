"""One position of state-space duality on the GPU, in one launch: what the CPU would do in ten."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from genolm_kernels._triton import Compilation

ELEMENTS = 1024  # of the state, in a program: rows of headdim times padded d_state
NUM_WARPS = 2


def triton_ssd_step(
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
        in float32.
    """
    found: tuple[Tensor, Tensor] = _step(state, x, dt, A, B, C, D, z, dt_bias, dt_softplus)
    return found


@torch.library.custom_op("genolm::ssd_step_triton", mutates_args=())
def _step(
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
    y, new_state = _outputs(state, x)
    batch, heads, headdim, d_state = state.shape
    if state.numel() == 0:
        return y.zero_(), new_state
    block, padded = tile(headdim, d_state)
    inputs = x.contiguous()
    with torch.cuda.device_of(x):
        step[(triton.cdiv(headdim, block), heads, batch)](
            state.contiguous(),
            inputs,
            dt.contiguous(),
            A.contiguous(),
            B.contiguous(),
            C.contiguous(),
            inputs if D is None else D.contiguous(),
            inputs if z is None else z.contiguous(),
            inputs if dt_bias is None else dt_bias.contiguous(),
            y,
            new_state,
            headdim,
            d_state,
            B.shape[1],
            0 if D is None else heads,
            0 if z is None else headdim,
            0 if dt_bias is None else heads,
            SOFTPLUS=dt_softplus,
            BLOCK=block,
            STATES=padded,
            num_warps=NUM_WARPS,
        )
    return y, new_state


@_step.register_fake
def _step_fake(
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
    return _outputs(state, x)


def _outputs(state: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), state.new_empty(state.shape, dtype=torch.float32)


def tile(headdim: int, d_state: int) -> tuple[int, int]:
    """Rows of headdim in a program, and the padded size of the state."""
    padded = triton.next_power_of_2(d_state)
    return max(1, min(triton.next_power_of_2(headdim), ELEMENTS // padded)), padded


@triton.jit
def softplus(x):
    """log(1 + exp(x)), to the last bits where it is small too."""
    small = tl.exp(-tl.abs(x))
    lost = (1.0 + small) - 1.0
    # The rounding of 1 + small is divided out of its logarithm (Kahan).
    safe = tl.where(lost == 0.0, 1.0, lost)
    tail = tl.where(lost == 0.0, small, tl.log(1.0 + small) * (small / safe))
    return tl.maximum(x, 0.0) + tail


@triton.jit
def step(
    state_ptr,
    x_ptr,
    dt_ptr,
    A_ptr,
    B_ptr,
    C_ptr,
    D_ptr,
    z_ptr,
    bias_ptr,
    y_ptr,
    new_state_ptr,
    headdim,
    d_state,
    groups,
    D_heads,
    z_headdim,
    bias_heads,
    SOFTPLUS: tl.constexpr,
    BLOCK: tl.constexpr,
    STATES: tl.constexpr,
):
    """Take one step of some rows of one head of one sequence."""
    p = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    n = tl.arange(0, STATES)
    head = tl.program_id(1)
    heads = tl.num_programs(1)
    sequence = tl.program_id(2).to(tl.int64)
    row = sequence * heads + head
    matrix = (sequence * groups + head // (heads // groups)) * d_state + n
    rows = p < headdim

    dt = tl.load(dt_ptr + row).to(tl.float32)
    dt += tl.load(bias_ptr + head, head < bias_heads, other=0.0).to(tl.float32)
    if SOFTPLUS:
        dt = softplus(dt)
    decay = tl.exp(dt * tl.load(A_ptr + head).to(tl.float32))
    x = tl.load(x_ptr + row * headdim + p, rows, other=0.0).to(tl.float32)
    B = tl.load(B_ptr + matrix, n < d_state, other=0.0).to(tl.float32)
    C = tl.load(C_ptr + matrix, n < d_state, other=0.0).to(tl.float32)

    place = (row * headdim + p[:, None]) * d_state + n[None, :]
    mask = rows[:, None] & (n < d_state)[None, :]
    state = tl.load(state_ptr + place, mask, other=0.0).to(tl.float32)
    state = decay * state + (dt * x)[:, None] * B[None, :]
    tl.store(new_state_ptr + place, state, mask)
    y = tl.sum(state * C[None, :], 1)
    y += tl.load(D_ptr + head, head < D_heads, other=0.0).to(tl.float32) * x
    z = tl.load(z_ptr + row * headdim + p, p < z_headdim, other=0.0).to(tl.float32)
    y = tl.where(p < z_headdim, y * z * tl.sigmoid(z), y)
    tl.store(y_ptr + row * headdim + p, y.to(y_ptr.dtype.element_ty), rows)


def compilations() -> list[Compilation]:
    """Heads of 64 with states of 64 and inputs of every type, and a state of 256."""
    return [
        *(_compilation(dtype, 64, True) for dtype in ("fp32", "bf16", "fp16")),
        _compilation("bf16", 256, False),
    ]


def _compilation(dtype: str, d_state: int, softplus: bool) -> Compilation:
    wide = ("state_ptr", "A_ptr", "D_ptr", "bias_ptr", "new_state_ptr")
    kinds = {name: f"*{dtype}" for name in step.arg_names if name.endswith("_ptr")}
    kinds |= dict.fromkeys(wide, "*fp32")
    sizes = ("headdim", "d_state", "groups", "D_heads", "z_headdim", "bias_heads")
    kinds |= dict.fromkeys(sizes, "i32")
    block, padded = tile(64, d_state)
    return Compilation(
        name=f"step d_state={d_state} {dtype} softplus={softplus}",
        kernel=step,
        signature=kinds,
        constants={"SOFTPLUS": softplus, "BLOCK": block, "STATES": padded},
        num_warps=NUM_WARPS,
        aligned=tuple(n for n in kinds if n not in ("groups", "D_heads", "bias_heads")),
    )
