"""Both scans on the CPU, in one pass of the compiled library where it takes the call."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genolm_kernels.selective_scan import chunked, chunked_backward, compiled
from genolm_kernels.selective_scan.reference import state_dtype
from genolm_kernels.selective_scan.tiles import Call

WIDTH = 7  # arguments of one direction


def cpu(*args: Any) -> Tensor:
    """Scan from both ends; arguments as in `bidirectional_scan.reference`.

    Returns:
        y (batch, length, d_inner) in u's type.
    """
    *tensors, delta_softplus = args
    keep = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
    y: Tensor = _scan(*tensors, delta_softplus, keep)[0]
    return y


def _calls(*args: Any) -> tuple[Call, Call]:
    *tensors, delta_softplus = args
    return _call(tensors[:WIDTH], delta_softplus, reverse=False), _call(
        tensors[WIDTH : 2 * WIDTH], delta_softplus, reverse=True
    )


def _call(way: Sequence[Any], delta_softplus: bool, *, reverse: bool) -> Call:
    u, delta, A, B, C, D, bias = way
    return Call(u, delta, A, B, C, D, None, bias, None, delta_softplus, reverse)


def _compiled_takes(calls: Sequence[Call], z: Tensor | None) -> bool:
    return _widest(calls, z) == torch.float32 and all(compiled.takes(call) for call in calls)


def _widest(calls: Sequence[Call], z: Tensor | None) -> torch.dtype:
    """float64 if anything is, else float32: what sum and gate are computed in, never rounded."""
    return state_dtype(*(tensor for call in calls for tensor in call.tensors), z)


def _chunked(calls: Sequence[Call], z: Tensor | None, keep: bool) -> tuple[Tensor, list[Tensor]]:
    """The sum of both scans before the gate, in the widest type, and the saved states."""
    dtype = _widest(calls, z)
    ways = [chunked.forward(call._replace(u=call.u.to(dtype)), keep) for call in calls]
    return ways[0][0] + ways[1][0], [starts for _, _, starts in ways]


def _chunked_backward(
    calls: Sequence[Call], z: Tensor | None, starts: Sequence[Tensor], dy: Tensor
) -> tuple[list[list[Tensor]], Tensor | None]:
    dtype = _widest(calls, z)
    outer, dz = dy.to(dtype), None
    if z is not None:
        gate = z.to(dtype)
        share = gate.sigmoid()
        y, _ = _chunked(calls, z, keep=False)
        dz = (outer * y * share * (1 + gate * (1 - share))).to(z.dtype)
        outer = outer * gate * share
    ways = []
    for call, start in zip(calls, starts, strict=True):
        wide = call._replace(u=call.u.to(dtype))
        du, *others = chunked_backward.backward(wide, start, outer, None)
        ways.append([du.to(call.u.dtype), *others])
    return ways, dz


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
    if _compiled_takes(calls, z):
        y, _, (starts, starts_back) = compiled.forward(calls, z, keep)
        return y, starts, starts_back
    y, (starts, starts_back) = _chunked(calls, z, keep)
    gated = y if z is None else y * F.silu(z.to(y.dtype))
    return gated.to(u.dtype), starts, starts_back


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
    saved = (starts, starts_back)
    ways: Sequence[Sequence[Tensor | None]]
    if _compiled_takes(calls, z):
        ways, dz = compiled.backward(calls, z, saved, dy, (None, None))
    else:
        ways, dz = _chunked_backward(calls, z, saved, dy)
    found = [gradient for way in ways for gradient in way if gradient is not None]
    return found if dz is None else [*found, dz]


@_scan_backward.register_fake
def _scan_backward_fake(*args: Any) -> list[Tensor]:
    tensors = args[: 2 * WIDTH + 1]
    return [tensor.new_empty(tensor.shape) for tensor in tensors if tensor is not None]


def _keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)  # the saved states' would be as large as they are
    ctx.mark_non_differentiable(*output[1:])
    ctx.delta_softplus = inputs[-2]
    ctx.save_for_backward(*inputs[: 2 * WIDTH + 1], *output[1:])


def _differentiate(ctx: Any, dy: Tensor | None, *_: None) -> tuple[Any, ...]:
    if dy is None:
        return (None,) * (2 * WIDTH + 3)
    *tensors, starts, starts_back = ctx.saved_tensors
    found = iter(_scan_backward(*tensors, ctx.delta_softplus, starts, starts_back, dy))
    return (*(None if tensor is None else next(found) for tensor in tensors), None, None)


_scan.register_autograd(_differentiate, setup_context=_keep_inputs)
