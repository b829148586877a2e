"""Both scans by Triton, in one launch, as an operator that autograd and torch.compile see whole."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genolm_kernels._triton import Compilation
from genolm_kernels.selective_scan.triton import triton_selective_scan
from genolm_kernels.selective_scan.triton_compilations import scan_compilations
from genolm_kernels.selective_scan.triton_launch import (
    Call,
    Kept,
    kept_shapes,
    run_backward,
    run_forward,
)
from genolm_kernels.selective_scan.triton_plan import Way

WIDTH = 7  # arguments of one direction


def triton_bidirectional_scan(*args: Any) -> Tensor:
    """Scan from both ends; arguments as in `bidirectional_scan.reference`.

    Returns:
        y (batch, length, d_inner) in u's type.
    """
    *tensors, delta_softplus = args
    if not _alike(*_ways(tensors)):
        return _one_after_the_other(*args)
    keep = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
    y: Tensor = _scan(*tensors, delta_softplus, keep)[0]
    return y


def _ways(tensors: Any) -> tuple[Way, Way]:
    return Way(*tensors[:WIDTH]), Way(*tensors[WIDTH : 2 * WIDTH])


def _alike(first: Way, second: Way) -> bool:
    """Whether both directions have the same tensors, of the same forms and types."""
    for one, other in zip(first, second, strict=True):
        if one is None or other is None:
            if one is not other:
                return False
        elif one.shape != other.shape or one.dtype != other.dtype:
            return False
    return True


def _one_after_the_other(*args: Any) -> Tensor:
    *tensors, z, delta_softplus = args
    first, second = (
        triton_selective_scan(
            way.u.float(), *way[1:6], None, way.delta_bias, None, delta_softplus, reverse
        )[0]
        for way, reverse in zip(_ways(tensors), (False, True), strict=True)
    )
    y = first + second
    if z is not None:
        y = y * F.silu(z.float())
    return y.to(tensors[0].dtype)


def _call(*args: Any) -> Call:
    *tensors, z, delta_softplus = args
    return Call(_ways(tensors), z, None, delta_softplus, False)


@torch.library.custom_op("genolm::bidirectional_scan_triton", mutates_args=())
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
    y, _, kept = run_forward(_call(*first, *second, z, delta_softplus), keep)
    return y, kept.states, kept.sums


@_scan.register_fake
def _scan_fake(*args: Any) -> tuple[Tensor, Tensor, Tensor]:
    call, keep = _call(*args[:-1]), args[-1]
    u = call.ways[0].u
    states, sums = (u.new_empty(s, dtype=torch.float32) for s in kept_shapes(call, keep))
    return u.new_empty(u.shape), states, sums


@torch.library.custom_op("genolm::bidirectional_scan_triton_backward", mutates_args=())
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
    states: Tensor,
    sums: Tensor,
    dy: Tensor,
) -> list[Tensor]:
    first = (u, delta, A, B, C, D, delta_bias)
    second = (u_back, delta_back, A_back, B_back, C_back, D_back, delta_bias_back)
    call = _call(*first, *second, z, delta_softplus)
    ways, dz, _ = run_backward(call, Kept(states, sums), dy, None)
    return [gradient for gradient in (*ways[0], *ways[1], dz) if gradient is not None]


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
    *tensors, states, sums = ctx.saved_tensors
    found = iter(_scan_backward(*tensors, ctx.delta_softplus, states, sums, dy))
    return (*(None if tensor is None else next(found) for tensor in tensors), None, None)


_scan.register_autograd(_differentiate, setup_context=_keep_inputs)


def compilations() -> list[Compilation]:
    """What is compiled ahead of time: the kernels of both directions in one launch."""
    return scan_compilations(2)
