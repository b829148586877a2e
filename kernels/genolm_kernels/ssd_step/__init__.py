"""One position of state-space duality, for generation."""

from typing import Any

from torch import Tensor

from genolm_kernels._backend import Backend, choose, never, not_on_cpu
from genolm_kernels._checks import check_numbers
from genolm_kernels._triton import automatic, refuses_gradients, unavailable
from genolm_kernels.ssd_step.cpu import cpu
from genolm_kernels.ssd_step.reference import reference


def _triton(*args: Any) -> tuple[Tensor, Tensor]:
    from genolm_kernels.ssd_step.triton import triton_ssd_step

    return triton_ssd_step(*args)


BACKENDS: tuple[Backend[tuple[Tensor, Tensor]], ...] = (
    Backend("triton", _triton, refuses_gradients, unavailable, automatic),
    Backend("cpu", cpu, not_on_cpu, never),
    Backend("reference", reference, never, never),
)


def ssd_step(
    state: Tensor,
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    dt_bias: Tensor | None = None,
    *,
    dt_softplus: bool = False,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Take the next position of a sequence that `ssd` would take whole.

    Args:
        state: The state so far (batch, heads, headdim, d_state); zeros at the start.
        x: Inputs (batch, heads, headdim).
        dt: Step sizes (batch, heads), before bias and softplus.
        A: Rate of each head (heads,).
        B: Input matrix (batch, groups, d_state); each serves heads / groups heads.
        C: Output matrix, of B's shape.
        D: Skip (heads,).
        z: Gate, of x's shape, applied through silu.
        dt_bias: Added to dt (heads,).
        dt_softplus: Whether the step size is softplus(dt + dt_bias).
        backend: Name of the backend to insist on; None takes the best that runs.

    Returns:
        y (batch, heads, headdim) in x's type, and the new state (batch, heads, headdim, d_state)
        in float32, or float64 where any input is.

    Raises:
        ValueError: If shapes, types or devices disagree, or the backend asked for cannot run this
            call.
    """
    if state.dim() != 4:
        raise ValueError(
            f"state must be (batch, heads, headdim, d_state), got {tuple(state.shape)}"
        )
    batch, heads, headdim, d_state = state.shape
    if B.dim() != 3 or B.shape[1] == 0 or heads % B.shape[1]:
        raise ValueError(
            f"B must be ({batch}, groups, {d_state}) with groups that divide {heads} heads, "
            f"got {tuple(B.shape)}"
        )
    tensors: dict[str, Tensor | None] = {"state": state, "x": x, "dt": dt, "A": A, "B": B, "C": C}
    tensors |= {"D": D, "z": z, "dt_bias": dt_bias}
    wanted = {
        "x": (batch, heads, headdim),
        "dt": (batch, heads),
        "A": (heads,),
        "B": (batch, B.shape[1], d_state),
        "C": (batch, B.shape[1], d_state),
        "D": (heads,),
        "z": (batch, heads, headdim),
        "dt_bias": (heads,),
    }
    for name, shape in wanted.items():
        tensor = tensors[name]
        if tensor is not None and tuple(tensor.shape) != shape:
            raise ValueError(f"{name} must be {shape}, got {tuple(tensor.shape)}")
    check_numbers(tensors)
    args = (*tensors.values(), dt_softplus)
    return choose("ssd_step", BACKENDS, backend, *args).run(*args)
