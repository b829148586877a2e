"""Long causal convolution on the CPU: the convolution theorem on a few channels at a time.

Channels are turned to the front tile by tile, so that transforms run over contiguous memory and
no more than a few tiles exist at once. With U, K and G the spectra of u, k and dy, padded with
zeros beyond any wrapping around:

    y = ifft(U K) + d u        du = ifft(G conj(K)) + d dy        dk = ifft(sum_batch G conj(U))
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

TILE_ELEMENTS = 1 << 18  # of the padded sequences
FEWEST_CHANNELS = 16  # of a tile: with fewer, reading channels-last memory wastes cache lines


def cpu(u: Tensor, k: Tensor, d: Tensor | None) -> Tensor:
    """Convolve tile by tile; arguments as in `genolm_kernels.fft_conv`.

    Returns:
        y (batch, length, channels) in u's type, computed in float32 or, where u or k is, float64.
    """
    y: Tensor = _conv(u, k, d)
    return y


def transform_size(least: int) -> int:
    """The smallest even number with no prime factor above 5 that is not below `least`."""
    size = least + least % 2
    while True:
        rest = size
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return size
        size += 2


@torch.library.custom_op("genolm::fft_conv_cpu", mutates_args=())
def _conv(u: Tensor, k: Tensor, d: Tensor | None) -> Tensor:
    y = torch.empty(u.shape, dtype=u.dtype)
    length, dtype = u.shape[1], _dtype(u, k)
    size = transform_size(length + min(length, len(k)) - 1)
    for channels, blocks in _tiles(u, size):
        filters = torch.fft.rfft(_front(k[:length, channels], dtype), n=size)
        for rows in blocks:
            inputs = _front(u[rows, :, channels], dtype)
            spectrum = torch.fft.rfft(inputs, n=size).mul_(filters)
            outputs = torch.fft.irfft(spectrum, n=size)[..., :length]
            if d is not None:
                outputs.addcmul_(inputs, d[channels, None].to(dtype))
            y[rows, :, channels] = outputs.transpose(-1, -2)
    return y


@_conv.register_fake
def _conv_fake(u: Tensor, k: Tensor, d: Tensor | None) -> Tensor:
    return u.new_empty(u.shape)


@torch.library.custom_op("genolm::fft_conv_cpu_backward", mutates_args=())
def _conv_backward(
    u: Tensor, k: Tensor, d: Tensor | None, dy: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    du = torch.empty(u.shape, dtype=u.dtype)
    dk = torch.zeros(k.shape, dtype=k.dtype)
    length, dtype = u.shape[1], _dtype(u, k)
    taps = min(length, len(k))
    dd = torch.zeros(u.shape[2], dtype=dtype)
    size = transform_size(length + taps - 1)
    for channels, blocks in _tiles(u, size):
        filters = torch.fft.rfft(_front(k[:length, channels], dtype), n=size).conj()
        crossed = torch.zeros_like(filters)
        for rows in blocks:
            inputs, outer = (
                _front(u[rows, :, channels], dtype),
                _front(dy[rows, :, channels], dtype),
            )
            dd[channels] += (inputs * outer).sum((0, 2))
            spectrum = torch.fft.rfft(outer, n=size)
            crossed += (torch.fft.rfft(inputs, n=size).conj() * spectrum).sum(0)
            found = torch.fft.irfft(spectrum.mul_(filters), n=size)[..., :length]
            if d is not None:
                found.addcmul_(outer, d[channels, None].to(dtype))
            du[rows, :, channels] = found.transpose(-1, -2)
        dk[:taps, channels] = torch.fft.irfft(crossed, n=size)[:, :taps].t()
    return du, dk, dd.to(dtype if d is None else d.dtype)


@_conv_backward.register_fake
def _conv_backward_fake(
    u: Tensor, k: Tensor, d: Tensor | None, dy: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    dd = u.new_empty(u.shape[2], dtype=_dtype(u, k) if d is None else d.dtype)
    return u.new_empty(u.shape), k.new_empty(k.shape), dd


def _keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    u, k, d = ctx.saved_tensors
    du, dk, dd = _conv_backward(u, k, d, dy)
    return du, dk, None if d is None else dd


_conv.register_autograd(_differentiate, setup_context=_keep_inputs)


def _dtype(u: Tensor, k: Tensor) -> torch.dtype:
    return torch.promote_types(torch.promote_types(u.dtype, k.dtype), torch.float32)


def _front(steps: Tensor, dtype: torch.dtype) -> Tensor:
    """Contiguous (..., channels, length) of (..., length, channels)."""
    return steps.transpose(-1, -2).to(dtype).contiguous()


def _tiles(u: Tensor, size: int) -> Iterator[tuple[slice, list[slice]]]:
    """Channels of each tile, and the blocks of sequences to take them from one by one."""
    batch, _, channels = u.shape
    width = min(channels, max(FEWEST_CHANNELS, TILE_ELEMENTS // (size * batch)))
    rows = max(1, TILE_ELEMENTS // (size * width))
    blocks = [slice(row, row + rows) for row in range(0, batch, rows)]
    for channel in range(0, channels, width):
        yield slice(channel, channel + width), blocks
