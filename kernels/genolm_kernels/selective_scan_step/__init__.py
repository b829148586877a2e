"""One position of a selective scan, for generation."""

from typing import Any

import torch
from torch import Tensor

from genolm_kernels._backend import Backend, choose, never, not_on_cpu
from genolm_kernels._triton import automatic, refuses_gradients, unavailable
from genolm_kernels.selective_scan_step.cpu import cpu
from genolm_kernels.selective_scan_step.reference import reference


def _triton(*args: Any) -> tuple[Tensor, Tensor]:
    from genolm_kernels.selective_scan_step.triton import triton_selective_scan_step

    return triton_selective_scan_step(*args)


BACKENDS: tuple[Backend[tuple[Tensor, Tensor]], ...] = (
    Backend("triton", _triton, refuses_gradients, unavailable, automatic),
    Backend("cpu", cpu, not_on_cpu, never),
    Backend("reference", reference, never, never),
)


def selective_scan_step(
    state: Tensor,
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
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Take the next position of a sequence that `selective_scan` would take whole.

    Args:
        state: The state so far (batch, d_inner, d_state); zeros at the start.
        u: Inputs (batch, d_inner).
        delta: Step sizes (batch, d_inner).
        A: Decay rates (d_inner, d_state).
        B: Input matrices (batch, d_state) or (batch, groups, d_state); a batch of 1 serves all,
            so that constant ones of each channel are (1, d_inner, d_state).
        C: Output matrices, in the same forms.
        D: Skip of each channel (d_inner,).
        z: Gate, applied through silu (batch, d_inner).
        delta_bias: Added to delta (d_inner,).
        delta_softplus: Whether the step sizes go through softplus.
        backend: Name of the backend to insist on; None takes the best that runs.

    Returns:
        y (batch, d_inner) in u's type, and the new state (batch, d_inner, d_state) in float32, or
        float64 where any input is.

    Raises:
        ValueError: If shapes disagree, or the backend asked for cannot run this call.
    """
    if state.dim() != 3:
        raise ValueError(f"state must be (batch, d_inner, d_state), got {tuple(state.shape)}")
    batch, d_inner, d_state = state.shape
    wanted: tuple[tuple[str, Tensor | None, tuple[int, ...]], ...] = (
        ("u", u, (batch, d_inner)),
        ("delta", delta, (batch, d_inner)),
        ("A", A, (d_inner, d_state)),
        ("D", D, (d_inner,)),
        ("z", z, (batch, d_inner)),
        ("delta_bias", delta_bias, (d_inner,)),
    )
    for name, tensor, shape in wanted:
        if tensor is not None and tensor.shape != torch.Size(shape):
            raise ValueError(f"{name} must be {shape}, got {tuple(tensor.shape)}")
    B = _by_group("B", B, batch, d_inner, d_state)
    C = _by_group("C", C, batch, d_inner, d_state)
    args = (state, u, delta, A, B, C, D, z, delta_bias, delta_softplus)
    return choose("selective_scan_step", BACKENDS, backend, *args).run(*args)


def _by_group(name: str, matrix: Tensor, batch: int, d_inner: int, d_state: int) -> Tensor:
    """View of B or C as (batch, groups, d_state), whichever of its forms it has."""
    grouped = matrix.unsqueeze(1) if matrix.dim() == 2 else matrix
    if grouped.dim() != 3 or grouped.shape[0] not in (1, batch) or grouped.shape[2] != d_state:
        raise ValueError(
            f"{name} must be ({batch}, {d_state}) or ({batch}, groups, {d_state}), "
            f"got {tuple(matrix.shape)}"
        )
    groups = grouped.shape[1]
    if groups == 0 or d_inner % groups:
        raise ValueError(f"{name} has {groups} groups, which do not divide {d_inner}")
    return grouped.expand(batch, groups, d_state)
