"""The selective scan by Triton, as operators that autograd and torch.compile see whole."""

from typing import Any

import torch
from torch import Tensor

from genolm_kernels._triton import Compilation
from genolm_kernels.selective_scan.triton_compilations import scan_compilations
from genolm_kernels.selective_scan.triton_launch import (
    Call,
    Kept,
    kept_shapes,
    run_backward,
    run_forward,
)
from genolm_kernels.selective_scan.triton_plan import Way


def triton_selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    initial_state: Tensor | None,
    delta_softplus: bool,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    """Scan; arguments as in `genolm_kernels.selective_scan`.

    Returns:
        y (batch, length, d_inner) in u's type, and the last state (batch, d_inner, d_state).
    """
    tensors = (u, delta, A, B, C, D, z, delta_bias, initial_state)
    keep = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
    y, last_state, _, _ = _scan(*tensors, delta_softplus, reverse, keep)
    return y, last_state


def _call(*args: Any) -> Call:
    u, delta, A, B, C, D, z, delta_bias, initial_state, delta_softplus, reverse = args
    way = Way(u, delta, A, B, C, D, delta_bias)
    return Call((way,), z, initial_state, delta_softplus, reverse)


@torch.library.custom_op("genolm::selective_scan_triton", mutates_args=())
def _scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    initial_state: Tensor | None,
    delta_softplus: bool,
    reverse: bool,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    tensors = (u, delta, A, B, C, D, z, delta_bias, initial_state)
    y, last, kept = run_forward(_call(*tensors, delta_softplus, reverse), keep)
    return y, last[0], kept.states, kept.sums


@_scan.register_fake
def _scan_fake(*args: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    call, keep = _call(*args[:-1]), args[-1]
    u, A = call.ways[0].u, call.ways[0].A
    last = u.new_empty(u.shape[0], u.shape[2], A.shape[1], dtype=torch.float32)
    states, sums = (last.new_empty(shape) for shape in kept_shapes(call, keep))
    return u.new_empty(u.shape), last, states, sums


@torch.library.custom_op("genolm::selective_scan_triton_backward", mutates_args=())
def _scan_backward(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    initial_state: Tensor | None,
    delta_softplus: bool,
    reverse: bool,
    states: Tensor,
    sums: Tensor,
    dy: Tensor,
    last_gradient: Tensor | None,
) -> list[Tensor]:
    tensors = (u, delta, A, B, C, D, z, delta_bias, initial_state)
    call = _call(*tensors, delta_softplus, reverse)
    (way,), dz, dinitial = run_backward(call, Kept(states, sums), dy, last_gradient)
    found = (*way[:6], dz, way.delta_bias, dinitial)
    return [gradient for gradient in found if gradient is not None]


@_scan_backward.register_fake
def _scan_backward_fake(*args: Any) -> list[Tensor]:
    return [tensor.new_empty(tensor.shape) for tensor in args[:9] if tensor is not None]


def _keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*output[2:])
    ctx.flags = inputs[9:11]
    ctx.save_for_backward(*inputs[:9], *output[2:])


def _differentiate(ctx: Any, dy: Tensor | None, last: Tensor | None, *_: None) -> tuple[Any, ...]:
    *tensors, states, sums = ctx.saved_tensors
    if dy is None:
        dy = torch.zeros_like(tensors[0])
    found = iter(_scan_backward(*tensors, *ctx.flags, states, sums, dy, last))
    return (*(None if tensor is None else next(found) for tensor in tensors), None, None, None)


_scan.register_autograd(_differentiate, setup_context=_keep_inputs)


def compilations() -> list[Compilation]:
    """What is compiled ahead of time: the kernels of one direction."""
    return scan_compilations(1)
