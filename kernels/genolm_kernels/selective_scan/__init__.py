"""Selective scan, the recurrence of Mamba-1."""

from typing import Any, Literal, overload

from torch import Tensor

from genolm_kernels._backend import Backend, choose, never, not_on_cpu
from genolm_kernels._triton import automatic, unavailable
from genolm_kernels.selective_scan.checks import check_call
from genolm_kernels.selective_scan.cpu import cpu
from genolm_kernels.selective_scan.reference import reference
from genolm_kernels.selective_scan.triton_plan import refuses


def _triton(*args: Any) -> tuple[Tensor, Tensor]:
    from genolm_kernels.selective_scan.triton import triton_selective_scan

    return triton_selective_scan(*args)


BACKENDS: tuple[Backend[tuple[Tensor, Tensor]], ...] = (
    Backend("triton", _triton, refuses, unavailable, automatic),
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
        ValueError: If shapes, types or devices disagree, or the backend asked for cannot run this
            call.
    """
    check_call((u, delta, A, B, C, D, z, delta_bias, initial_state))
    args = (u, delta, A, B, C, D, z, delta_bias, initial_state, delta_softplus, reverse)
    y, last_state = choose("selective_scan", BACKENDS, backend, *args).run(*args)
    return (y, last_state) if return_last_state else y
