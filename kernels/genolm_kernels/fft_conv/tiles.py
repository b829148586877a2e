"""Long convolution with torch's transforms, a few channels at a time.

Channels are turned to the front tile by tile, so that transforms run over contiguous memory and
no more than a few tiles exist at once. With V, K and G the spectra of v = u gate_in, k and
g = dy gate_out, padded with zeros beyond any wrapping around:

    c = ifft(V K) + d v,    dv = ifft(G conj(K)) + d g,    dk = ifft(sum over sequences G conj(V)),

and conj(K), K, conj(G) V where the convolution is reversed.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from genolm_kernels.fft_conv.spectrum import compute_dtype, transform_size

TILE_ELEMENTS = 1 << 18  # of the padded sequences: what the processor's cache holds
GPU_TILE_ELEMENTS = 1 << 26  # the same on a GPU, where a tile must be large to be worth a launch
FEWEST_CHANNELS = 16  # of a tile: with fewer, reading channels-last memory wastes cache lines


class Sequences(NamedTuple):
    """What is convolved: u and its gates (batch, length, channels), the skip d (channels,)."""

    u: Tensor
    d: Tensor | None
    gate_in: Tensor | None
    gate_out: Tensor | None
    reverse: bool


class Gradients(NamedTuple):
    """The gradients of u, k, d and the gates, where these are None empty ones."""

    u: Tensor
    k: Tensor
    d: Tensor
    gate_in: Tensor
    gate_out: Tensor


def convolve(x: Sequences, k: Tensor) -> Tensor:
    """Convolve with filters k (length_k, channels): y (batch, length, channels) in u's type."""
    length, dtype = x.u.shape[1], compute_dtype(x.u, k)
    size = transform_size(length + min(length, len(k)) - 1)
    y = x.u.new_empty(x.u.shape)
    for channels, blocks in _tiles(x.u, size):
        filters = torch.fft.rfft(_front(k[:length, channels], dtype), n=size)
        for rows in blocks:
            _convolve_tile(x, filters, size, (rows, channels), y)
    return y


def convolve_prepared(x: Sequences, spectrum: Tensor, size: int) -> Tensor:
    """Convolve with spectra (channels, size // 2 + 1) of filters: y in u's shape and type."""
    y = x.u.new_empty(x.u.shape)
    for channels, blocks in _tiles(x.u, size):
        for rows in blocks:
            _convolve_tile(x, spectrum[channels], size, (rows, channels), y)
    return y


def _convolve_tile(
    x: Sequences, filters: Tensor, size: int, place: tuple[slice, slice], y: Tensor
) -> None:
    rows, channels = place
    dtype = torch.promote_types(filters.real.dtype, x.u.dtype)
    inputs = _gated(x.u, x.gate_in, place, dtype)
    # Not conj(): under torch.compile an operator's own code may meet it as if it were not there.
    filters = filters.conj_physical() if x.reverse else filters
    spectrum = torch.fft.rfft(inputs, n=size).mul_(filters)
    outputs = torch.fft.irfft(spectrum, n=size)[..., : x.u.shape[1]]
    if x.d is not None:
        outputs.addcmul_(inputs, x.d[channels, None].to(dtype))
    outputs = outputs.transpose(-1, -2)
    y[rows, :, channels] = (
        outputs if x.gate_out is None else outputs * x.gate_out[rows, :, channels]
    )


def backward(x: Sequences, k: Tensor, dy: Tensor) -> Gradients:
    """The gradients of everything that `convolve` takes, from that of y."""
    length, dtype = x.u.shape[1], compute_dtype(x.u, k)
    size = transform_size(length + min(length, len(k)) - 1)
    gates = (x.gate_in, x.gate_out)
    found = Gradients(
        x.u.new_empty(x.u.shape),
        torch.zeros_like(k),
        x.u.new_zeros(x.u.shape[2], dtype=dtype),
        *(x.u.new_empty(0) if gate is None else gate.new_empty(gate.shape) for gate in gates),
    )
    for channels, blocks in _tiles(x.u, size):
        _backward_channels(x, k, dy, (channels, blocks, size), found)
    return found._replace(d=found.d.to(dtype if x.d is None else x.d.dtype))


def _backward_channels(
    x: Sequences, k: Tensor, dy: Tensor, tile: tuple[slice, list[slice], int], found: Gradients
) -> None:
    channels, blocks, size = tile
    length, dtype = x.u.shape[1], compute_dtype(x.u, k)
    taps = min(length, len(k))
    filters = torch.fft.rfft(_front(k[:length, channels], dtype), n=size)
    # A reversed convolution is the adjoint of the other one.
    mirrored = filters.conj_physical()
    there, back = (mirrored, filters) if x.reverse else (filters, mirrored)
    crossed = torch.zeros_like(filters)
    skip = filters.real.new_zeros(()) if x.d is None else x.d[channels, None].to(dtype)
    for rows in blocks:
        place = (rows, channels)
        inputs, outer = _gated(x.u, x.gate_in, place, dtype), _gated(dy, x.gate_out, place, dtype)
        found.d[channels] += (inputs * outer).sum((0, 2))
        source, spectrum = torch.fft.rfft(inputs, n=size), torch.fft.rfft(outer, n=size)
        pair = (source, spectrum) if x.reverse else (spectrum, source)
        crossed += (pair[0] * pair[1].conj_physical()).sum(0)
        if x.gate_out is not None:
            inner = torch.fft.irfft(source.mul_(there), n=size)[..., :length]
            inner = inner.addcmul_(inputs, skip).transpose(-1, -2)
            found.gate_out[rows, :, channels] = inner * dy[rows, :, channels]
        dv = torch.fft.irfft(spectrum.mul_(back), n=size)[..., :length]
        dv = dv.addcmul_(outer, skip).transpose(-1, -2)
        if x.gate_in is None:
            found.u[rows, :, channels] = dv
            continue
        found.u[rows, :, channels] = dv * x.gate_in[rows, :, channels]
        found.gate_in[rows, :, channels] = dv * x.u[rows, :, channels]
    found.k[:taps, channels] = torch.fft.irfft(crossed, n=size)[:, :taps].t()


def _gated(
    x: Tensor, gate: Tensor | None, place: tuple[slice, slice], dtype: torch.dtype
) -> Tensor:
    """Contiguous (rows, channels, length) of x times its gate."""
    rows, channels = place
    steps = x[rows, :, channels].to(dtype)
    return _front(steps if gate is None else steps * gate[rows, :, channels], dtype)


def _front(steps: Tensor, dtype: torch.dtype) -> Tensor:
    """Contiguous (..., channels, length) of (..., length, channels)."""
    return steps.transpose(-1, -2).to(dtype).contiguous()


def _tiles(u: Tensor, size: int) -> Iterator[tuple[slice, list[slice]]]:
    """Channels of each tile, and the blocks of sequences to take them from one by one."""
    batch, _, channels = u.shape
    elements = GPU_TILE_ELEMENTS if u.is_cuda else TILE_ELEMENTS
    width = min(channels, max(FEWEST_CHANNELS, elements // (size * max(1, batch))))
    rows = max(1, elements // (size * width))
    blocks = [slice(row, row + rows) for row in range(0, batch, rows)]
    for channel in range(0, channels, width):
        yield slice(channel, channel + width), blocks
