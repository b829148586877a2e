"""Short convolution and gate on the CPU, as an operator that autograd and torch.compile see whole.

With p the convolved channels and p_g, p_v their last two blocks, gated = p_g p_v and

    dp_g = p_v dgated        dp_v = p_g dgated        dp = [drest, dp_g, dp_v],

from which the gradients of the convolution follow. Pre-gate values are computed again.
"""

from typing import Any

import torch
from torch import Tensor

from genolm_kernels.causal_conv1d.cpu import backward_in_tiles, forward_in_tiles
from genolm_kernels.gated_short_conv import compiled


def cpu(
    x: Tensor, weight: Tensor, bias: Tensor | None, parts: int, reverse: bool
) -> tuple[Tensor, Tensor]:
    """Convolve and gate; arguments as in `genolm_kernels.gated_short_conv`.

    Returns:
        gated (batch, length, d) and rest (batch, length, (parts - 2) * d) in x's type, computed in
        float32 or, where x is, float64.
    """
    gated, rest = _gated(x, weight, bias, parts, reverse)
    return gated, rest


@torch.library.custom_op("genolm::gated_short_conv_cpu", mutates_args=())
def _gated(
    x: Tensor, weight: Tensor, bias: Tensor | None, parts: int, reverse: bool
) -> tuple[Tensor, Tensor]:
    if compiled.takes(x, weight, parts):
        gated, rest = compiled.forward(x, weight, bias, parts, reverse)
    else:
        rest, gate, v = _convolve(x, weight, bias, parts, reverse)
        # Results share no memory with each other: autograd may write to them.
        gated, rest = v * gate, rest.clone()
    return gated.to(x.dtype), rest.to(x.dtype)


@_gated.register_fake
def _gated_fake(
    x: Tensor, weight: Tensor, bias: Tensor | None, parts: int, reverse: bool
) -> tuple[Tensor, Tensor]:
    batch, length, channels = x.shape
    d = channels // parts
    return x.new_empty(batch, length, d), x.new_empty(batch, length, channels - 2 * d)


@torch.library.custom_op("genolm::gated_short_conv_cpu_backward", mutates_args=())
def _gated_backward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    parts: int,
    reverse: bool,
    dgated: Tensor,
    drest: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    if compiled.takes(x, weight, parts):
        found = compiled.backward(x, weight, bias, parts, reverse, dgated, drest)
    else:
        _, gate, v = _convolve(x, weight, bias, parts, reverse)
        dp = torch.cat([drest, dgated * v, dgated * gate], dim=2)
        wide = x.to(v.dtype)
        found = backward_in_tiles(wide, weight, bias, False, reverse, dp)
    dx, dweight, dbias = found
    return dx.to(x.dtype), dweight.to(weight.dtype), dbias if bias is None else dbias.to(bias.dtype)


@_gated_backward.register_fake
def _gated_backward_fake(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    parts: int,
    reverse: bool,
    dgated: Tensor,
    drest: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    if bias is None:
        bias = x.new_empty(x.shape[2], dtype=torch.promote_types(x.dtype, torch.float32))
    return x.new_empty(x.shape), weight.new_empty(weight.shape), bias.new_empty(bias.shape)


def _keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.flags = inputs[3:]
    ctx.save_for_backward(*inputs[:3])


def _differentiate(ctx: Any, dgated: Tensor, drest: Tensor) -> tuple[Tensor | None, ...]:
    x, weight, bias = ctx.saved_tensors
    dx, dweight, dbias = _gated_backward(x, weight, bias, *ctx.flags, dgated, drest)
    return dx, dweight, None if bias is None else dbias, None, None


_gated.register_autograd(_differentiate, setup_context=_keep_inputs)


def _convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, parts: int, reverse: bool
) -> tuple[Tensor, ...]:
    """By torch, the convolved blocks in the computing type: the rest, the last gate, the last."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    convolved = forward_in_tiles(wide, weight, bias, False, reverse)
    d = x.shape[2] // parts
    return convolved[..., : -2 * d], convolved[..., -2 * d : -d], convolved[..., -d:]
