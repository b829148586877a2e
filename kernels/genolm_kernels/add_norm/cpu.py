"""Residual sum and norm on the CPU: by the compiled library, else by torch.

With n the normed sum before its weight and g = weight dnormed, for a scale s = 1 / sqrt(.. + eps):

    dsum = s (g - mean(g) - n mean(g n)) + dtotal        without mean(g) for RMSNorm
    dweight = sum dnormed n        dbias = sum dnormed.
"""

from typing import Any

import torch
from torch import Tensor

from genolm_kernels.add_norm import compiled
from genolm_kernels.add_norm.reference import reference, widen


def cpu(
    hidden: Tensor,
    residual: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    eps: float,
    rms: bool,
) -> tuple[Tensor, Tensor]:
    """Add and normalise; arguments as in `genolm_kernels.add_norm`.

    Returns:
        The normed sum in weight's type, and the sum; both (batch, length, d_model).
    """
    if residual is None:
        total = widen(hidden)
        return _norm(total, weight, bias, eps, rms), total
    normed, total = _add_norm(hidden, residual, weight, bias, eps, rms)
    return normed, total


@torch.library.custom_op("genolm::add_norm_cpu", mutates_args=())
def _add_norm(
    hidden: Tensor,
    residual: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    eps: float,
    rms: bool,
) -> tuple[Tensor, Tensor]:
    if compiled.takes(hidden, torch.promote_types(hidden.dtype, residual.dtype)):
        normed, total = compiled.forward(hidden, residual, weight, bias, eps, rms)
        assert total is not None
        return normed.to(weight.dtype), total
    return reference(hidden, residual, weight, bias, eps, rms)


@_add_norm.register_fake
def _add_norm_fake(
    hidden: Tensor,
    residual: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    eps: float,
    rms: bool,
) -> tuple[Tensor, Tensor]:
    narrow = torch.promote_types(hidden.dtype, residual.dtype)
    total = hidden.new_empty(hidden.shape, dtype=torch.promote_types(narrow, torch.float32))
    return hidden.new_empty(hidden.shape, dtype=weight.dtype), total


@torch.library.custom_op("genolm::norm_cpu", mutates_args=())
def _norm(total: Tensor, weight: Tensor, bias: Tensor | None, eps: float, rms: bool) -> Tensor:
    if compiled.takes(total, total.dtype):
        return compiled.forward(total, None, weight, bias, eps, rms)[0].to(weight.dtype)
    return reference(total, None, weight, bias, eps, rms)[0]


@_norm.register_fake
def _norm_fake(total: Tensor, weight: Tensor, bias: Tensor | None, eps: float, rms: bool) -> Tensor:
    return total.new_empty(total.shape, dtype=weight.dtype)


@torch.library.custom_op("genolm::add_norm_cpu_backward", mutates_args=())
def _backward(
    total: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    eps: float,
    rms: bool,
    dnormed: Tensor,
    dtotal: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    run = compiled.backward if compiled.takes(total, total.dtype) else _backward_by_torch
    dsum, dweight, dbias = run(total, weight, bias, eps, rms, dnormed, dtotal)
    dbias = dbias if bias is None else dbias.to(bias.dtype)
    return dsum, dweight.to(weight.dtype), dbias


@_backward.register_fake
def _backward_fake(
    total: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    eps: float,
    rms: bool,
    dnormed: Tensor,
    dtotal: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    dbias = total.new_empty(weight.shape) if bias is None else bias.new_empty(bias.shape)
    return total.new_empty(total.shape), weight.new_empty(weight.shape), dbias


def _backward_by_torch(
    total: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    eps: float,
    rms: bool,
    dnormed: Tensor,
    dtotal: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    centred = total if rms else total - total.mean(-1, keepdim=True)
    scale = torch.rsqrt((centred * centred).mean(-1, keepdim=True) + eps)
    n, d = centred * scale, dnormed.to(total.dtype)
    g = d * weight.to(total.dtype)
    dsum = g - n * (g * n).mean(-1, keepdim=True)
    if not rms:
        dsum -= g.mean(-1, keepdim=True)
    dsum *= scale
    if dtotal is not None:
        dsum += dtotal
    return dsum, (d * n).sum((0, 1)), d.sum((0, 1))


def _keep_sum(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    hidden, residual, weight, bias, eps, rms = inputs
    ctx.set_materialize_grads(False)
    ctx.flags, ctx.types = (eps, rms), (hidden.dtype, residual.dtype)
    ctx.save_for_backward(output[1], weight, bias)


def _differentiate(
    ctx: Any, dnormed: Tensor | None, dtotal: Tensor | None
) -> tuple[Tensor | None, ...]:
    dsum, dweight, dbias = dtotal, None, None
    if dnormed is not None:
        total, weight, bias = ctx.saved_tensors
        dsum, dweight, dbias = _backward(total, weight, bias, *ctx.flags, dnormed, dtotal)
        dbias = None if bias is None else dbias
    dhidden, dresidual = (None if dsum is None else dsum.to(dtype) for dtype in ctx.types)
    return dhidden, dresidual, dweight, dbias, None, None


_add_norm.register_autograd(_differentiate, setup_context=_keep_sum)


def _keep_total(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.flags = inputs[3:]
    ctx.save_for_backward(*inputs[:3])


def _differentiate_norm(ctx: Any, dnormed: Tensor) -> tuple[Tensor | None, ...]:
    total, weight, bias = ctx.saved_tensors
    dsum, dweight, dbias = _backward(total, weight, bias, *ctx.flags, dnormed, None)
    return dsum, dweight, None if bias is None else dbias, None, None


_norm.register_autograd(_differentiate_norm, setup_context=_keep_total)
