"""Short causal convolution on the CPU: by the compiled library, else by torch in tiles.

In torch it is one multiply-add of shifted slices per tap; torch's own depthwise convolution wants
channels first and is several times slower on the CPU.
Gradients, with p_t = bias + sum_lag w_lag x_{t - lag} and y_t = silu(p_t):

    dp_t = silu'(p_t) dy_t        dx_{t - lag} += w_lag dp_t        dw_lag = sum_t dp_t x_{t - lag}

Lags are negative where the filter looks ahead.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genolm_kernels.causal_conv1d import compiled

TILE_ELEMENTS = 1 << 18
FEWEST_STEPS = 64  # of a tile, since each tap of each tile is a call


def cpu(x: Tensor, weight: Tensor, bias: Tensor | None, silu: bool, reverse: bool) -> Tensor:
    """Convolve; arguments as in `genolm_kernels.causal_conv1d`.

    Returns:
        y (batch, length, channels) in x's type, computed in float32 or, where x is, float64.
    """
    y: Tensor = _conv(x, weight, bias, silu, reverse)
    return y


@torch.library.custom_op("genolm::causal_conv1d_cpu", mutates_args=())
def _conv(x: Tensor, weight: Tensor, bias: Tensor | None, silu: bool, reverse: bool) -> Tensor:
    if compiled.takes(x, weight):
        return compiled.forward(x, weight, bias, silu, reverse)
    return forward_in_tiles(x, weight, bias, silu, reverse)


def forward_in_tiles(
    x: Tensor, weight: Tensor, bias: Tensor | None, silu: bool, reverse: bool
) -> Tensor:
    """Convolve by torch; arguments and result as in `cpu`, without gradients."""
    inputs, taps, start = _widen(x, weight, bias)
    y = torch.empty(x.shape, dtype=inputs.dtype)
    for rows, span in _tiles(inputs, backwards=False):
        out = y[rows, span.start : span.stop]
        _convolve(inputs[rows], taps, start, span, reverse, out)
        if silu:
            F.silu(out, inplace=True)
    return y.to(x.dtype)


@_conv.register_fake
def _conv_fake(x: Tensor, weight: Tensor, bias: Tensor | None, silu: bool, reverse: bool) -> Tensor:
    return x.new_empty(x.shape)


@torch.library.custom_op("genolm::causal_conv1d_cpu_backward", mutates_args=())
def _conv_backward(
    x: Tensor, weight: Tensor, bias: Tensor | None, silu: bool, reverse: bool, dy: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    if compiled.takes(x, weight):
        return compiled.backward(x, weight, bias, silu, reverse, dy)
    return backward_in_tiles(x, weight, bias, silu, reverse, dy)


def backward_in_tiles(
    x: Tensor, weight: Tensor, bias: Tensor | None, silu: bool, reverse: bool, dy: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of `forward_in_tiles`, by torch.

    Returns:
        dx, dweight and dbias in the types of what they belong to.
    """
    inputs, taps, start = _widen(x, weight, bias)
    dx = torch.empty(x.shape, dtype=inputs.dtype)
    dtaps, dstart = torch.zeros_like(taps), torch.zeros_like(taps[0])
    # Tiles go with the filter's view, so that each finds the places it adds to already written.
    for rows, span in _tiles(inputs, backwards=reverse):
        source, into = inputs[rows], dx[rows]
        dp = dy[rows, span.start : span.stop].to(inputs.dtype)
        if silu:
            p = torch.empty(dp.shape, dtype=dp.dtype)
            _convolve(source, taps, start, span, reverse, p)
            dp = torch.ops.aten.silu_backward(dp, p)
        dstart += dp.sum((0, 1))
        torch.mul(dp, taps[0], out=into[:, span.start : span.stop])
        scratch = dp * source[:, span.start : span.stop]
        dtaps[0] += scratch.sum((0, 1))
        for lag, here, there in _shifts(len(taps), span, x.shape[1], reverse):
            part = dp[:, here.start - span.start : here.stop - span.start]
            into[:, there].addcmul_(part, taps[lag])
            products = torch.mul(part, source[:, there], out=scratch[:, : part.shape[1]])
            dtaps[lag] += products.sum((0, 1))
    dbias = dstart.to(dstart.dtype if bias is None else bias.dtype)
    return dx.to(x.dtype), dtaps.flip(0).t().to(weight.dtype).contiguous(), dbias


@_conv_backward.register_fake
def _conv_backward_fake(
    x: Tensor, weight: Tensor, bias: Tensor | None, silu: bool, reverse: bool, dy: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    if bias is None:
        bias = x.new_empty(x.shape[2], dtype=torch.promote_types(x.dtype, torch.float32))
    return x.new_empty(x.shape), weight.new_empty(weight.shape), bias.new_empty(bias.shape)


def _keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.flags = inputs[3:]
    ctx.save_for_backward(*inputs[:3])


def _differentiate(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    x, weight, bias = ctx.saved_tensors
    dx, dweight, dbias = _conv_backward(x, weight, bias, *ctx.flags, dy)
    return dx, dweight, None if bias is None else dbias, None, None


_conv.register_autograd(_differentiate, setup_context=_keep_inputs)


def _widen(x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, taps (width, channels) by how far they look, and bias, in the computing type."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    taps = weight.to(dtype).t().contiguous().flip(0)
    return x.to(dtype), taps, torch.zeros_like(taps[0]) if bias is None else bias.to(dtype)


def _tiles(x: Tensor, *, backwards: bool) -> Iterator[tuple[slice, range]]:
    """Pieces of (batch, length, channels): which sequences, which positions."""
    batch, length, channels = x.shape
    rows = max(1, min(batch, TILE_ELEMENTS // (FEWEST_STEPS * channels)))
    steps = max(FEWEST_STEPS, TILE_ELEMENTS // (rows * channels))
    starts = range(0, length, steps)
    for row in range(0, batch, rows):
        for start in reversed(starts) if backwards else starts:
            yield slice(row, row + rows), range(start, min(start + steps, length))


def _shifts(
    width: int, span: range, length: int, reverse: bool
) -> Iterator[tuple[int, slice, slice]]:
    """For each lag from 1: the positions of the span that reach inputs, and those they reach."""
    for lag in range(1, width):
        if reverse:
            start, stop, offset = span.start, min(span.stop, length - lag), lag
        else:
            start, stop, offset = max(span.start, lag), span.stop, -lag
        if start < stop:
            yield lag, slice(start, stop), slice(start + offset, stop + offset)


def _convolve(
    x: Tensor, taps: Tensor, start: Tensor, span: range, reverse: bool, out: Tensor
) -> None:
    torch.addcmul(start, x[:, span.start : span.stop], taps[0], out=out)
    for lag, here, there in _shifts(len(taps), span, x.shape[1], reverse):
        part = out[:, here.start - span.start : here.stop - span.start]
        part.addcmul_(x[:, there], taps[lag])
