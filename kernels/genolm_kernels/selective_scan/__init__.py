"""Selective scan, the recurrence of Mamba-1."""

from typing import Literal, overload

import torch
from torch import Tensor

from genolm_kernels._backend import Backend, choose, never, not_on_cpu
from genolm_kernels.selective_scan.cpu import cpu
from genolm_kernels.selective_scan.reference import reference

BACKENDS: tuple[Backend[tuple[Tensor, Tensor]], ...] = (
    Backend("cpu", cpu, not_on_cpu, never),
    Backend("reference", reference, never, never),
)


@overload
def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    *,
    delta_softplus: bool = False,
    reverse: bool = False,
    initial_state: Tensor | None = None,
    return_last_state: Literal[False] = False,
    backend: str | None = None,
) -> Tensor: ...


@overload
def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    *,
    delta_softplus: bool = False,
    reverse: bool = False,
    initial_state: Tensor | None = None,
    return_last_state: Literal[True],
    backend: str | None = None,
) -> tuple[Tensor, Tensor]: ...


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    *,
    delta_softplus: bool = False,
    reverse: bool = False,
    initial_state: Tensor | None = None,
    return_last_state: bool = False,
    backend: str | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Run h_t = exp(dt_t A) h_{t-1} + dt_t B_t u_t along a sequence and read y_t = <C_t, h_t>.

    The state is float32 whatever the inputs are, float64 where any of them is.

    Args:
        u: Inputs (batch, length, d_inner).
        delta: Step sizes (batch, length, d_inner), before bias and softplus.
        A: State matrix (d_inner, d_state); negative where the recurrence is to be stable.
        B: Input matrix: (batch, length, d_state), (batch, length, groups, d_state) where each
            group serves d_inner / groups channels, or (d_inner, d_state) for a constant one.
        C: Output matrix, in any of the forms of B.
        D: Skip (d_inner,): y gets D * u.
        z: Gate (batch, length, d_inner): y is multiplied with silu(z), after the skip.
        delta_bias: Added to delta (d_inner,).
        delta_softplus: Whether the step size is softplus(delta + delta_bias).
        reverse: Whether to run from the last position to the first.
        initial_state: State before the first step (batch, d_inner, d_state); zeros if None.
        return_last_state: Whether to return the state after the last step as well.
        backend: Name of the backend to insist on; None takes the best that runs.

    Returns:
        y (batch, length, d_inner) in u's type, or (y, last_state (batch, d_inner, d_state)).

    Raises:
        ValueError: If shapes disagree, or the backend asked for cannot run this call.
    """
    _check_shapes(u, delta, A, B, C, D, z, delta_bias, initial_state)
    args = (u, delta, A, B, C, D, z, delta_bias, initial_state, delta_softplus, reverse)
    y, last_state = choose("selective_scan", BACKENDS, backend, *args).run(*args)
    return (y, last_state) if return_last_state else y


def _check_shapes(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    initial_state: Tensor | None,
) -> None:
    if u.dim() != 3 or u.shape[1] == 0:
        raise ValueError(f"u must be (batch, length >= 1, d_inner), got {_shape(u)}")
    batch, length, d_inner = u.shape
    if A.dim() != 2 or A.shape[0] != d_inner:
        raise ValueError(f"A must be (d_inner={d_inner}, d_state), got {_shape(A)}")
    d_state = A.shape[1]
    wanted = (
        ("delta", delta, (batch, length, d_inner)),
        ("D", D, (d_inner,)),
        ("z", z, (batch, length, d_inner)),
        ("delta_bias", delta_bias, (d_inner,)),
        ("initial_state", initial_state, (batch, d_inner, d_state)),
    )
    for name, tensor, shape in wanted:
        if tensor is not None and tensor.shape != torch.Size(shape):
            raise ValueError(f"{name} must be {shape}, got {_shape(tensor)}")
    for name, tensor in (("B", B), ("C", C)):
        _check_matrix(name, tensor, batch, length, d_inner, d_state)


def _check_matrix(
    name: str, matrix: Tensor, batch: int, length: int, d_inner: int, d_state: int
) -> None:
    forms = {
        2: (d_inner, d_state),
        3: (batch, length, d_state),
        4: (batch, length, matrix.shape[2] if matrix.dim() == 4 else 1, d_state),
    }
    if forms.get(matrix.dim()) != tuple(matrix.shape):
        raise ValueError(
            f"{name} must be {forms[3]}, ({batch}, {length}, groups, {d_state}) or {forms[2]}, "
            f"got {_shape(matrix)}"
        )
    if matrix.dim() == 4 and (matrix.shape[2] == 0 or d_inner % matrix.shape[2]):
        raise ValueError(f"{name} has {matrix.shape[2]} groups, which do not divide {d_inner}")


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)
