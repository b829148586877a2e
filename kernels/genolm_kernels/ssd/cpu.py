"""State-space duality on the CPU, as operators that autograd and torch.compile see whole."""

from typing import Any

import torch
from torch import Tensor

from genolm_kernels.ssd.chunked import forward
from genolm_kernels.ssd.chunked_backward import backward
from genolm_kernels.ssd.chunks import Call, Layout


def cpu(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    initial_state: Tensor | None,
    dt_softplus: bool,
    chunk_size: int,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    """Multiply chunk by chunk; arguments as in `genolm_kernels.ssd`.

    Returns:
        y (batch, length, heads, headdim) in x's type, and the last state (batch, heads, headdim,
        d_state).
    """
    tensors = (x, dt, A, B, C, D, z, dt_bias, initial_state)
    keep = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
    y, last_state, _ = _ssd(*tensors, dt_softplus, chunk_size, reverse, keep)
    return y, last_state


@torch.library.custom_op("genolm::ssd_cpu", mutates_args=())
def _ssd(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    initial_state: Tensor | None,
    dt_softplus: bool,
    chunk_size: int,
    reverse: bool,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    tensors = (x, dt, A, B, C, D, z, dt_bias, initial_state)
    return forward(Call(*tensors, dt_softplus, chunk_size, reverse), keep)


@_ssd.register_fake
def _ssd_fake(*args: Any) -> tuple[Tensor, Tensor, Tensor]:
    call, keep = Call(*args[:-1]), args[-1]
    layout = Layout.of(call)
    batch, _, heads, headdim = call.x.shape
    last_state = call.x.new_empty(batch, heads, headdim, layout.d_state, dtype=call.dtype)
    starts = last_state.new_empty(layout.tiles if keep else 0, batch, *layout.state_shape)
    return call.x.new_empty(call.x.shape), last_state, starts


@torch.library.custom_op("genolm::ssd_cpu_backward", mutates_args=())
def _ssd_backward(
    x: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    dt_bias: Tensor | None,
    initial_state: Tensor | None,
    dt_softplus: bool,
    chunk_size: int,
    reverse: bool,
    starts: Tensor,
    dy: Tensor,
    last_gradient: Tensor | None,
) -> list[Tensor]:
    tensors = (x, dt, A, B, C, D, z, dt_bias, initial_state)
    call = Call(*tensors, dt_softplus, chunk_size, reverse)
    return backward(call, starts, dy, last_gradient)


@_ssd_backward.register_fake
def _ssd_backward_fake(*args: Any) -> list[Tensor]:
    call = Call(*args[:12])
    return [tensor.new_empty(tensor.shape) for tensor in call.tensors if tensor is not None]


def _keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[2])
    ctx.flags = inputs[9:12]
    ctx.save_for_backward(*inputs[:9], output[2])


def _differentiate(ctx: Any, dy: Tensor | None, last: Tensor | None, _: None) -> tuple[Any, ...]:
    *tensors, starts = ctx.saved_tensors
    if dy is None:
        dy = torch.zeros_like(tensors[0])
    found = iter(_ssd_backward(*tensors, *ctx.flags, starts, dy, last))
    gradients = (None if tensor is None else next(found) for tensor in tensors)
    return (*gradients, None, None, None, None)


_ssd.register_autograd(_differentiate, setup_context=_keep_inputs)
