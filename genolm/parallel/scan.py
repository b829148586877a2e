"""Scans on slices: every process scans its own, and one state for each crosses the borders.

A slice turns the state h before it into P h + S, with S the state after it when it starts from
zero and P = exp(A sum(dt)) its decay. Everybody scans for S, all S and sum(dt) are gathered at
once, each process puts those before its slice together (the state carried in), and scans again
from there. What is exchanged does not depend on the length (LASP-2, arXiv 2502.07563, does this
for linear attention). In the backward pass the gradients of the states go the other way.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

import genolm_kernels
from genolm.parallel.exchange import apply, gather
from genolm.parallel.group import SequenceGroup, sequence_group
from genolm_kernels import ScanInputs


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
) -> Tensor:
    """Scan as `genolm_kernels.selective_scan`, which says what the arguments are; or slices."""
    group = sequence_group()
    if group is None:
        return genolm_kernels.selective_scan(
            *(u, delta, A, B, C, D, z, delta_bias), delta_softplus=delta_softplus, reverse=reverse
        )
    scan = partial(genolm_kernels.selective_scan, delta_softplus=delta_softplus, reverse=reverse)
    _, last = scan(u, delta, A, B, C.detach(), delta_bias=delta_bias, return_last_state=True)
    steps = _add_steps(delta, delta_bias, delta_softplus)
    state = _carry_in(last, steps, A, None, group, reverse)
    return scan(u, delta, A, B, C, D, z, delta_bias, initial_state=state)


def bidirectional_scan(
    forward: ScanInputs,
    backward: ScanInputs,
    z: Tensor | None = None,
    *,
    delta_softplus: bool = False,
) -> Tensor:
    """Scan as `genolm_kernels.bidirectional_scan`; slices in two scans, one for each direction."""
    if sequence_group() is None:
        return genolm_kernels.bidirectional_scan(
            forward, backward, z, delta_softplus=delta_softplus
        )
    ways = [
        selective_scan(*way[:6], z, way.delta_bias, delta_softplus=delta_softplus, reverse=reverse)
        for way, reverse in ((forward, False), (backward, True))
    ]
    return ways[0] + ways[1]


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
) -> Tensor:
    """Scan as `genolm_kernels.ssd`, which says what the arguments are; or slices.

    The initial state is the one before the whole sequence.
    """
    group = sequence_group()
    if group is None:
        return genolm_kernels.ssd(
            *(x, dt, A, B, C, D, z, dt_bias),
            dt_softplus=dt_softplus,
            chunk_size=chunk_size,
            reverse=reverse,
            initial_state=initial_state,
        )
    scan = partial(
        genolm_kernels.ssd, dt_softplus=dt_softplus, chunk_size=chunk_size, reverse=reverse
    )
    _, last = scan(x, dt, A, B, C.detach(), dt_bias=dt_bias, return_last_state=True)
    steps = _add_steps(dt, dt_bias, dt_softplus)
    start = None if initial_state is None else initial_state.flatten(2)
    state = _carry_in(last.flatten(2), steps, A[:, None], start, group, reverse)
    return scan(x, dt, A, B, C, D, z, dt_bias, initial_state=state.view_as(last))


def _carry_in(
    last: Tensor,
    steps: Tensor,
    rates: Tensor,
    start: Tensor | None,
    group: SequenceGroup,
    reverse: bool,
) -> Tensor:
    """The state before this process's slice.

    Args:
        last: State after it, started from zero (batch, channels, d_state).
        steps: Sum of its step sizes (batch, channels).
        rates: What a state decays with (channels, d_state), or (channels, 1).
        start: The state before the whole sequence, zeros if None.
        group: The processes.
        reverse: Whether the sequence is read from its end.

    Returns:
        (batch, channels, d_state).
    """
    packed = torch.cat([last, steps.to(last.dtype).unsqueeze(-1)], dim=-1)
    everyone = gather(packed, group)
    # The sum over nobody: zeros that hang in the graph, so that every process comes to the
    # exchange of gradients, whether or not it needed the others' states.
    state = everyone[:0, ..., :-1].sum(0)
    if start is not None:
        state = state + start.to(state.dtype)
    for place in group.before(reverse=reverse):
        decay = torch.exp(everyone[place, ..., -1:] * rates.to(state.dtype))
        state = decay * state + everyone[place, ..., :-1]
    return state


def _add_steps(delta: Tensor, bias: Tensor | None, softplus: bool) -> Tensor:
    return apply(_StepSum, delta, bias, softplus)


class _StepSum(torch.autograd.Function):
    """Sum of step sizes (batch, length, channels) over the length, in float32 at least.

    It keeps what the scan keeps anyway, instead of the step sizes.
    """

    @staticmethod
    def forward(ctx: Any, delta: Tensor, bias: Tensor | None, softplus: bool) -> Tensor:
        ctx.save_for_backward(delta, bias)
        ctx.softplus = softplus
        raw = _raw_steps(delta, bias)
        return (functional.softplus(raw) if softplus else raw).sum(1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None]:
        delta, bias = ctx.saved_tensors
        raw = _raw_steps(delta, bias)
        slope = raw.sigmoid() if ctx.softplus else torch.ones_like(raw)
        found = slope * gradient.unsqueeze(1)
        to_bias = None if bias is None else found.sum((0, 1)).to(bias.dtype)
        return found.to(delta.dtype), to_bias, None


def _raw_steps(delta: Tensor, bias: Tensor | None) -> Tensor:
    wide = delta.to(torch.promote_types(delta.dtype, torch.float32))
    return wide if bias is None else wide + bias
