"""Long causal convolution on the CPU, as operators of torch: compiled, else by torch's transforms.

A filter prepared beforehand has operators of its own. Their backward pass convolves the other way
round, since no filter needs a gradient there.
"""

from typing import Any

import torch
from torch import Tensor

from genolm_kernels.fft_conv import packed, tiles
from genolm_kernels.fft_conv.prepared import register_prepared_gradients
from genolm_kernels.fft_conv.spectrum import RFFT, FilterSpectrum, compute_dtype, rfft_spectrum
from genolm_kernels.fft_conv.tiles import Sequences
from genolm_kernels.native.call import takes


def cpu(
    u: Tensor,
    k: Tensor | FilterSpectrum,
    d: Tensor | None,
    gate_in: Tensor | None,
    gate_out: Tensor | None,
    reverse: bool,
) -> Tensor:
    """Convolve tile by tile; arguments as in `genolm_kernels.fft_conv`.

    Returns:
        y (batch, length, channels) in u's type, computed in float32 or, where u or k is, float64.
    """
    y: Tensor
    if isinstance(k, FilterSpectrum):
        y = _prepared(u, k.values, d, gate_in, gate_out, reverse, k.size, k.layout)
    else:
        y = _conv(u, k, d, gate_in, gate_out, reverse)
    return y


def prepare(k: Tensor, length: int) -> FilterSpectrum:
    """Transform filters (length_k, channels) for inputs of up to `length` steps."""
    if takes(k.dtype, k.shape[1]):
        return packed.prepare(k, length)
    return rfft_spectrum(k, length)


@torch.library.custom_op("genolm::fft_conv_cpu", mutates_args=())
def _conv(
    u: Tensor,
    k: Tensor,
    d: Tensor | None,
    gate_in: Tensor | None,
    gate_out: Tensor | None,
    reverse: bool,
) -> Tensor:
    x = Sequences(u, d, gate_in, gate_out, reverse)
    return packed.convolve(x, k) if packed.runs(x, k) else tiles.convolve(x, k)


@_conv.register_fake
def _conv_fake(
    u: Tensor,
    k: Tensor,
    d: Tensor | None,
    gate_in: Tensor | None,
    gate_out: Tensor | None,
    reverse: bool,
) -> Tensor:
    return u.new_empty(u.shape)


@torch.library.custom_op("genolm::fft_conv_cpu_backward", mutates_args=())
def _conv_backward(
    u: Tensor,
    k: Tensor,
    d: Tensor | None,
    gate_in: Tensor | None,
    gate_out: Tensor | None,
    reverse: bool,
    dy: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    x = Sequences(u, d, gate_in, gate_out, reverse)
    return packed.backward(x, k, dy) if packed.runs(x, k) else tiles.backward(x, k, dy)


@_conv_backward.register_fake
def _conv_backward_fake(
    u: Tensor,
    k: Tensor,
    d: Tensor | None,
    gate_in: Tensor | None,
    gate_out: Tensor | None,
    reverse: bool,
    dy: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    dd = u.new_empty(u.shape[2], dtype=compute_dtype(u, k) if d is None else d.dtype)
    d_in, d_out = (
        u.new_empty(0) if g is None else g.new_empty(g.shape) for g in (gate_in, gate_out)
    )
    return u.new_empty(u.shape), k.new_empty(k.shape), dd, d_in, d_out


def _keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.reverse = inputs
    ctx.save_for_backward(*tensors)


def _differentiate(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    tensors = ctx.saved_tensors
    found = _conv_backward(*tensors, ctx.reverse, dy)
    pairs = zip(found, tensors, strict=True)
    return *(None if tensor is None else gradient for gradient, tensor in pairs), None


_conv.register_autograd(_differentiate, setup_context=_keep_inputs)


@torch.library.custom_op("genolm::fft_conv_prepared_cpu", mutates_args=())
def _prepared(
    u: Tensor,
    spectrum: Tensor,
    d: Tensor | None,
    gate_in: Tensor | None,
    gate_out: Tensor | None,
    reverse: bool,
    size: int,
    layout: str,
) -> Tensor:
    x = Sequences(u, d, gate_in, gate_out, reverse)
    if layout == RFFT:
        return tiles.convolve_prepared(x, spectrum, size)
    return packed.convolve_prepared(x, spectrum, size, layout)


@_prepared.register_fake
def _prepared_fake(
    u: Tensor,
    spectrum: Tensor,
    d: Tensor | None,
    gate_in: Tensor | None,
    gate_out: Tensor | None,
    reverse: bool,
    size: int,
    layout: str,
) -> Tensor:
    return u.new_empty(u.shape)


register_prepared_gradients(_prepared)
