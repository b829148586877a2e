"""Two selective scans from both ends, added up and gated at once."""

from typing import Any, NamedTuple

from torch import Tensor

from genolm_kernels._backend import Backend, choose, never, not_on_cpu
from genolm_kernels._triton import automatic, unavailable
from genolm_kernels.bidirectional_scan.cpu import cpu
from genolm_kernels.bidirectional_scan.reference import reference
from genolm_kernels.selective_scan.checks import check_call
from genolm_kernels.selective_scan.triton_plan import refuses


class ScanInputs(NamedTuple):
    """What one direction scans; shapes as in `genolm_kernels.selective_scan`.

    Attributes:
        u: Inputs (batch, length, d_inner).
        delta: Step sizes (batch, length, d_inner), before bias and softplus.
        A: State matrix (d_inner, d_state).
        B: Input matrix, in any of the forms of `selective_scan`.
        C: Output matrix, in any of the forms of `selective_scan`.
        D: Skip (d_inner,).
        delta_bias: Added to delta (d_inner,).
    """

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor | None = None
    delta_bias: Tensor | None = None


def _triton(*args: Any) -> Tensor:
    from genolm_kernels.bidirectional_scan.triton import triton_bidirectional_scan

    y: Tensor = triton_bidirectional_scan(*args)
    return y


BACKENDS: tuple[Backend[Tensor], ...] = (
    Backend("triton", _triton, refuses, unavailable, automatic),
    Backend("cpu", cpu, not_on_cpu, never),
    Backend("reference", reference, never, never),
)


def bidirectional_scan(
    forward: ScanInputs,
    backward: ScanInputs,
    z: Tensor | None = None,
    *,
    delta_softplus: bool = False,
    backend: str | None = None,
) -> Tensor:
    """Add a scan from the first position to the last and one from the last to the first.

    Equal to selective_scan(*forward) + selective_scan(*backward, reverse=True), times silu(z), in
    one call that never flips a sequence (the BiMamba block of Caduceus, section 3.1).

    Args:
        forward: What the scan from the first position takes.
        backward: What the scan from the last position takes; sizes as those of `forward`.
        z: Gate of the sum (batch, length, d_inner).
        delta_softplus: Whether step sizes are softplus(delta + delta_bias).
        backend: Name of the backend to insist on; None takes the best that runs.

    Returns:
        y (batch, length, d_inner) in the type of forward.u.

    Raises:
        ValueError: If shapes or devices disagree, or the backend asked for cannot run this call.
    """
    for name, way in (("forward", forward), ("backward", backward)):
        gate = z if name == "forward" else None
        check_call((*way[:6], gate, way.delta_bias, None), prefix=f"{name}.")
    if backward.u.shape != forward.u.shape or backward.A.shape != forward.A.shape:
        sizes = [tuple(tensor.shape) for tensor in (backward.u, forward.u, backward.A, forward.A)]
        raise ValueError(
            f"backward.u and forward.u, {sizes[0]} and {sizes[1]}, must have the same shape, "
            f"and so must backward.A and forward.A, {sizes[2]} and {sizes[3]}"
        )
    args = (*forward, *backward, z, delta_softplus)
    return choose("bidirectional_scan", BACKENDS, backend, *args).run(*args)
