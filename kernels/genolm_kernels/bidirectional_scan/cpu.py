"""Both scans on the CPU, in one pass of the compiled library where it takes the call."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genolm_kernels.selective_scan import compiled
from genolm_kernels.selective_scan.cpu import cpu as one_way
from genolm_kernels.selective_scan.tiles import Call

WIDTH = 7  # arguments of one direction


def cpu(*args: Any) -> Tensor:
    """Scan from both ends; arguments as in `bidirectional_scan.reference`.

    Returns:
        y (batch, length, d_inner) in u's type.
    """
    *tensors, delta_softplus = args
    calls = _calls(*args)
    if not all(compiled.takes(call) for call in calls):
        return _one_after_the_other(*args)
    keep = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
    y: Tensor = _scan(*tensors, delta_softplus, keep)[0]
    return y


def _calls(*args: Any) -> tuple[Call, Call]:
    *tensors, delta_softplus = args
    ways = (tensors[:WIDTH], tensors[WIDTH : 2 * WIDTH])
    first, second = (
        Call(
            *way[:6],
            z=None,
            delta_bias=way[6],
            initial_state=None,
            delta_softplus=delta_softplus,
            reverse=reverse,
        )
        for way, reverse in zip(ways, (False, True), strict=True)
    )
    return first, second


def _one_after_the_other(*args: Any) -> Tensor:
    u, z = args[0], args[-2]
    first, second = _calls(*args)
    # In the state's type, so that neither sum nor gate is rounded on the way.
    y = one_way(*first._replace(u=u.to(first.dtype)))[0]
    y = y + one_way(*second._replace(u=second.u.to(second.dtype)))[0]
    return (y if z is None else y * F.silu(z.to(y.dtype))).to(u.dtype)


@torch.library.custom_op("genolm::bidirectional_scan_cpu", mutates_args=())
def _scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    delta_bias: Tensor | None,
    u_back: Tensor,
    delta_back: Tensor,
    A_back: Tensor,
    B_back: Tensor,
    C_back: Tensor,
    D_back: Tensor | None,
    delta_bias_back: Tensor | None,
    z: Tensor | None,
    delta_softplus: bool,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    first = (u, delta, A, B, C, D, delta_bias)
    second = (u_back, delta_back, A_back, B_back, C_back, D_back, delta_bias_back)
    calls = _calls(*first, *second, z, delta_softplus)
    y, _, (starts, starts_back) = compiled.forward(calls, z, keep)
    return y, starts, starts_back


@_scan.register_fake
def _scan_fake(*args: Any) -> tuple[Tensor, Tensor, Tensor]:
    calls, keep = _calls(*args[:-1]), args[-1]
    u = args[0]
    starts = [u.new_empty(compiled.starts_shape(call, keep), dtype=torch.float32) for call in calls]
    return u.new_empty(u.shape), starts[0], starts[1]


@torch.library.custom_op("genolm::bidirectional_scan_cpu_backward", mutates_args=())
def _scan_backward(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    delta_bias: Tensor | None,
    u_back: Tensor,
    delta_back: Tensor,
    A_back: Tensor,
    B_back: Tensor,
    C_back: Tensor,
    D_back: Tensor | None,
    delta_bias_back: Tensor | None,
    z: Tensor | None,
    delta_softplus: bool,
    starts: Tensor,
    starts_back: Tensor,
    dy: Tensor,
) -> list[Tensor]:
    first = (u, delta, A, B, C, D, delta_bias)
    second = (u_back, delta_back, A_back, B_back, C_back, D_back, delta_bias_back)
    calls = _calls(*first, *second, z, delta_softplus)
    ways, dz = compiled.backward(calls, z, (starts, starts_back), dy, (None, None))
    found = [gradient for way in ways for gradient in way if gradient is not None]
    return found if dz is None else [*found, dz]


@_scan_backward.register_fake
def _scan_backward_fake(*args: Any) -> list[Tensor]:
    tensors = args[: 2 * WIDTH + 1]
    return [tensor.new_empty(tensor.shape) for tensor in tensors if tensor is not None]


def _keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.mark_non_differentiable(*output[1:])
    ctx.delta_softplus = inputs[-2]
    ctx.save_for_backward(*inputs[: 2 * WIDTH + 1], *output[1:])


def _differentiate(ctx: Any, dy: Tensor, *_: None) -> tuple[Any, ...]:
    *tensors, starts, starts_back = ctx.saved_tensors
    found = iter(_scan_backward(*tensors, ctx.delta_softplus, starts, starts_back, dy))
    return (*(None if tensor is None else next(found) for tensor in tensors), None, None)


_scan.register_autograd(_differentiate, setup_context=_keep_inputs)
