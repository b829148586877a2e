"""The selective scan on the CPU, as operators that autograd and torch.compile see whole."""

from typing import Any

import torch
from torch import Tensor

from genolm_kernels.selective_scan import compiled
from genolm_kernels.selective_scan.chunked import forward, starts_shape
from genolm_kernels.selective_scan.chunked_backward import backward
from genolm_kernels.selective_scan.tiles import Call


def cpu(
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
    """Scan by the compiled library, or tile by tile in torch; arguments as in `selective_scan`.

    Returns:
        y (batch, length, d_inner) in u's type, and the last state (batch, d_inner, d_state).
    """
    tensors = (u, delta, A, B, C, D, z, delta_bias, initial_state)
    keep = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
    y, last_state, _ = _scan(*tensors, delta_softplus, reverse, keep)
    return y, last_state


@torch.library.custom_op("genolm::selective_scan_cpu", mutates_args=())
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
) -> tuple[Tensor, Tensor, Tensor]:
    call = Call(u, delta, A, B, C, D, z, delta_bias, initial_state, delta_softplus, reverse)
    if compiled.takes(call):
        y, (last_state,), (starts,) = compiled.forward((call,), z, keep)
        return y, last_state, starts
    return forward(call, keep)


@_scan.register_fake
def _scan_fake(*args: Any) -> tuple[Tensor, Tensor, Tensor]:
    call, keep = Call(*args[:-1]), args[-1]
    batch, _, d_inner = call.u.shape
    last_state = call.u.new_empty(batch, d_inner, call.A.shape[1], dtype=call.dtype)
    shape_of = compiled.starts_shape if compiled.takes(call) else starts_shape
    starts = last_state.new_empty(shape_of(call, keep))
    return call.u.new_empty(call.u.shape), last_state, starts


@torch.library.custom_op("genolm::selective_scan_cpu_backward", mutates_args=())
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
    starts: Tensor,
    dy: Tensor,
    last_gradient: Tensor | None,
) -> list[Tensor]:
    call = Call(u, delta, A, B, C, D, z, delta_bias, initial_state, delta_softplus, reverse)
    if not compiled.takes(call):
        return backward(call, starts, dy, last_gradient)
    (found,), dz = compiled.backward((call,), z, (starts,), dy, (last_gradient,))
    found[6] = dz
    return [gradient for gradient in found if gradient is not None]


@_scan_backward.register_fake
def _scan_backward_fake(*args: Any) -> list[Tensor]:
    call = Call(*args[:11])
    return [tensor.new_empty(tensor.shape) for tensor in call.tensors if tensor is not None]


def _keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[2])
    ctx.flags = inputs[9:11]
    ctx.save_for_backward(*inputs[:9], output[2])


def _differentiate(ctx: Any, dy: Tensor | None, last: Tensor | None, _: None) -> tuple[Any, ...]:
    *tensors, starts = ctx.saved_tensors
    if dy is None:
        dy = torch.zeros_like(tensors[0])
    found = iter(_scan_backward(*tensors, *ctx.flags, starts, dy, last))
    return (*(None if tensor is None else next(found) for tensor in tensors), None, None, None)


_scan.register_autograd(_differentiate, setup_context=_keep_inputs)
