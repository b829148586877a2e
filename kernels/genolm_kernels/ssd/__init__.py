"""State-space duality, the recurrence of Mamba-2 as matrix products."""

from typing import Any, Literal, overload

from torch import Tensor

from genolm_kernels._backend import Backend, choose, never, not_on_cpu
from genolm_kernels._checks import check_numbers
from genolm_kernels._triton import automatic, refuses, unavailable
from genolm_kernels.ssd.cpu import cpu
from genolm_kernels.ssd.reference import reference


def _triton(*args: Any) -> tuple[Tensor, Tensor]:
    from genolm_kernels.ssd.triton import triton_ssd

    return triton_ssd(*args)


BACKENDS: tuple[Backend[tuple[Tensor, Tensor]], ...] = (
    Backend("triton", _triton, refuses, unavailable, automatic),
    Backend("cpu", cpu, not_on_cpu, never),
    Backend("reference", reference, never, never),
)


@overload
def ssd(
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
    chunk_size: int = 64,
    reverse: bool = False,
    initial_state: Tensor | None = None,
    return_last_state: Literal[False] = False,
    backend: str | None = None,
) -> Tensor: ...


@overload
def ssd(
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
    chunk_size: int = 64,
    reverse: bool = False,
    initial_state: Tensor | None = None,
    return_last_state: Literal[True],
    backend: str | None = None,
) -> tuple[Tensor, Tensor]: ...


def ssd(
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
    chunk_size: int = 64,
    reverse: bool = False,
    initial_state: Tensor | None = None,
    return_last_state: bool = False,
    backend: str | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Run h_t = exp(dt_t A) h_{t-1} + dt_t x_t B_tᵀ along a sequence and read y_t = h_t C_t.

    The state is float32 whatever the inputs are, float64 where any of them is.

    Args:
        x: Inputs (batch, length, heads, headdim).
        dt: Step sizes (batch, length, heads), before bias and softplus.
        A: Rate of each head (heads,); negative where the recurrence is to be stable.
        B: Input matrix (batch, length, groups, d_state); each serves heads / groups heads.
        C: Output matrix, of B's shape.
        D: Skip (heads,): y gets D * x.
        z: Gate, of x's shape: y is multiplied with silu(z), after the skip.
        dt_bias: Added to dt (heads,).
        dt_softplus: Whether the step size is softplus(dt + dt_bias).
        chunk_size: Positions that are multiplied with each other at a time; a matter of speed and
            memory, not of results. A backend may prefer a size of its own.
        reverse: Whether to run from the last position to the first.
        initial_state: State before the first step (batch, heads, headdim, d_state); zeros if None.
        return_last_state: Whether to return the state after the last step as well.
        backend: Name of the backend to insist on; None takes the best that runs.

    Returns:
        y (batch, length, heads, headdim) in x's type, or (y, last_state (batch, heads, headdim,
        d_state)).

    Raises:
        ValueError: If shapes, types or devices disagree, or the backend asked for cannot run this
            call.
    """
    if chunk_size < 1:
        raise ValueError(f"chunk_size must be 1 or more, got {chunk_size}")
    tensors: dict[str, Tensor | None] = {"x": x, "dt": dt, "A": A, "B": B, "C": C, "D": D, "z": z}
    tensors |= {"dt_bias": dt_bias, "initial_state": initial_state}
    _check_shapes(tensors, x, B)
    args = (*tensors.values(), dt_softplus, chunk_size, reverse)
    y, last_state = choose("ssd", BACKENDS, backend, *args).run(*args)
    return (y, last_state) if return_last_state else y


def _check_shapes(tensors: dict[str, Tensor | None], x: Tensor, B: Tensor) -> None:
    if x.dim() != 4 or x.shape[1] == 0:
        raise ValueError(f"x must be (batch, length >= 1, heads, headdim), got {tuple(x.shape)}")
    batch, length, heads, headdim = x.shape
    if B.dim() != 4 or tuple(B.shape[:2]) != (batch, length):
        raise ValueError(
            f"B must be (batch={batch}, length={length}, groups, d_state), got {tuple(B.shape)}"
        )
    groups, d_state = B.shape[2:]
    if groups == 0 or heads % groups:
        raise ValueError(f"B has {groups} groups, which do not divide {heads} heads")
    wanted = {
        "dt": (batch, length, heads),
        "A": (heads,),
        "C": (batch, length, groups, d_state),
        "D": (heads,),
        "z": (batch, length, heads, headdim),
        "dt_bias": (heads,),
        "initial_state": (batch, heads, headdim, d_state),
    }
    for name, shape in wanted.items():
        tensor = tensors[name]
        if tensor is not None and tuple(tensor.shape) != shape:
            raise ValueError(f"{name} must be {shape}, got {tuple(tensor.shape)}")
    check_numbers(tensors)
