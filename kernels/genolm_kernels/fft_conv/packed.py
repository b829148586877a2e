"""Long convolution by the compiled code: its own transforms, 4 to 16 channels in each vector."""

import functools
from typing import NamedTuple

import torch
from torch import Tensor

from genolm_kernels.fft_conv.spectrum import FilterSpectrum, compute_dtype, is_smooth
from genolm_kernels.fft_conv.tiles import Gradients, Sequences
from genolm_kernels.native.call import call, dense_rows, takes
from genolm_kernels.native.library import library

SPECTRUM_BYTES = 1 << 24  # of the filters that are transformed at a time, for one convolution
MOST_THREADS = 256
PLANS = 8  # each 8 bytes for every point, kept for the next call of that length


class Plan(NamedTuple):
    """A transform's tables for the compiled code, and what it says about its memory.

    Attributes:
        size: Points of the transform, at least the length of the sequences.
        tables: Its memory.
        tile: Floats of one transform of `lanes` channels.
        local: Floats that each thread needs besides.
        shared: Whether all threads work on one tile; else each has its own.
        lanes: Channels of a tile.
    """

    size: int
    tables: Tensor
    tile: int
    local: int
    shared: bool
    lanes: int

    def memory(self, tiles: int) -> Tensor:
        """Memory for so many tiles at a time on torch's number of threads."""
        threads = min(torch.get_num_threads(), MOST_THREADS)
        tiles *= self.tile
        floats = tiles + threads * self.local if self.shared else threads * (tiles + self.local)
        return torch.empty(floats)

    @property
    def layout(self) -> str:
        """The name of the spectra's order."""
        return f"packed {self.lanes}"


def runs(x: Sequences, k: Tensor) -> bool:
    """Whether the compiled code takes this convolution."""
    return takes(compute_dtype(x.u, k), x.u.shape[2])


def convolve(x: Sequences, k: Tensor) -> Tensor:
    """Convolve with filters k (length_k, channels): y (batch, length, channels) in u's type."""
    batch, length, channels = x.u.shape
    plan = _plan_for(length)
    y = torch.empty(batch, length, channels)
    width = max(1, SPECTRUM_BYTES // (4 * plan.tile)) * plan.lanes
    # Columns of a narrow block would be copied where they are not contiguous rows: see dense_rows.
    k = dense_rows(k)
    wide = _widen(x)
    for first in range(0, channels, width):
        some = slice(first, first + width)
        _convolve(_channels(wide, some), _transform(plan, k[:length, some]), plan, y[..., some])
    return y.to(x.u.dtype)


def prepare(k: Tensor, length: int) -> FilterSpectrum:
    """Transform filters (length_k, channels) for inputs of up to `length` steps."""
    plan = _plan_for(length)
    values = _transform(plan, dense_rows(k)[:length])
    return FilterSpectrum(values, k.shape[1], length, plan.size, plan.layout)


def convolve_prepared(x: Sequences, spectrum: Tensor, size: int, layout: str) -> Tensor:
    """Convolve with prepared spectra: y in u's shape and type.

    Raises:
        ValueError: If they were prepared by code for other vectors.
    """
    if layout != layout_here(size):
        raise ValueError(
            f"k was prepared as {layout!r} for compiled code that is not this process's: "
            "prepare it anew"
        )
    plan = _make_plan(size, library())
    y = torch.empty(x.u.shape)
    _convolve(_widen(x), spectrum, plan, y)
    return y.to(x.u.dtype)


def layout_here(size: int) -> str | None:
    """The name of the order of spectra in this process's compiled code; None without such."""
    found = library()
    return None if found is None else _make_plan(size, found).layout


def backward(x: Sequences, k: Tensor, dy: Tensor) -> Gradients:
    """The gradients of everything that `convolve` takes, from that of y."""
    batch, length, channels = x.u.shape
    if batch == 0:
        return _no_gradients(x, k)
    plan = _plan_for(length)
    wide, filters, outer = _widen(x), dense_rows(k), dense_rows(dy)
    taps = min(length, len(k))
    du, dk = torch.empty(x.u.shape), torch.empty(k.shape)
    dk[taps:] = 0
    gates = (wide.gate_in, wide.gate_out)
    d_in, d_out = (None if gate is None else torch.empty(x.u.shape) for gate in gates)
    numbers = [
        *map(_address, (wide.u, filters, wide.d, *gates, outer)),
        *_steps(wide.u),
        filters.stride(0),
        *(step for tensor in (*gates, outer) for step in _steps(tensor)),
        *map(_address, (du, dk, d_in, d_out)),
        *(batch, length, taps, channels, int(x.reverse)),
    ]
    arguments = torch.tensor(numbers, dtype=torch.int64)
    call("genolm_fft_conv_backward", plan.tables, arguments, plan.memory(4))
    # Tap 0 meets its own position, as the skip does.
    dd = dk[0].to(torch.float32 if x.d is None else x.d.dtype, copy=True)
    return Gradients(
        du.to(x.u.dtype),
        dk.to(k.dtype),
        dd,
        _as_gate(d_in, x.gate_in, x.u),
        _as_gate(d_out, x.gate_out, x.u),
    )


def _no_gradients(x: Sequences, k: Tensor) -> Gradients:
    dd = torch.zeros(x.u.shape[2], dtype=torch.float32 if x.d is None else x.d.dtype)
    d_in, d_out = (_as_gate(x.u, gate, x.u) for gate in (x.gate_in, x.gate_out))
    return Gradients(torch.empty_like(x.u), torch.zeros_like(k), dd, d_in, d_out)


def _as_gate(gradient: Tensor | None, gate: Tensor | None, u: Tensor) -> Tensor:
    """The gradient in the gate's type; without a gate, one of no size."""
    if gradient is None or gate is None:
        return torch.empty(0, dtype=u.dtype)
    return gradient.to(gate.dtype, copy=gradient is u)


def _widen(x: Sequences) -> Sequences:
    """Everything in float32, channels side by side."""
    tensors = (None if t is None else dense_rows(t) for t in (x.u, x.d, x.gate_in, x.gate_out))
    u, d, gate_in, gate_out = tensors
    assert u is not None
    return Sequences(u, d, gate_in, gate_out, x.reverse)


def _channels(x: Sequences, some: slice) -> Sequences:
    d, gate_in, gate_out = (
        None if t is None else t[..., some] for t in (x.d, x.gate_in, x.gate_out)
    )
    return Sequences(x.u[..., some], d, gate_in, gate_out, x.reverse)


def _convolve(x: Sequences, spectrum: Tensor, plan: Plan, y: Tensor) -> None:
    tensors = (x.u, x.gate_in, x.gate_out, y)
    steps = torch.tensor([step for t in tensors for step in _steps(t)], dtype=torch.int64)
    call(
        "genolm_fft_conv",
        plan.tables,
        *(x.u, x.gate_in, x.gate_out, steps, spectrum, x.d, y),
        *(*x.u.shape, int(x.reverse)),
        plan.memory(1),
    )


def _transform(plan: Plan, k: Tensor) -> Tensor:
    """Spectra (groups, tile) of filters (taps, channels)."""
    taps, channels = k.shape
    spectrum = torch.empty(-(-channels // plan.lanes), plan.tile)
    call(
        "genolm_fft_spectrum", plan.tables, k, k.stride(0), taps, channels, spectrum, plan.memory(0)
    )
    return spectrum


def _steps(tensor: Tensor | None) -> tuple[int, int]:
    return (0, 0) if tensor is None else (tensor.stride(0), tensor.stride(1))


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _plan_for(length: int) -> Plan:
    size = length
    while not is_smooth(size):
        size += 1
    return _make_plan(size, library())


@functools.lru_cache(maxsize=PLANS)
def _make_plan(size: int, _: object) -> Plan:
    """The tables for a size; each of the compiled libraries of a process has its own."""
    needed = torch.empty(1, dtype=torch.int64)
    call("genolm_fft_plan_bytes", size, needed)
    tables = torch.empty(int(needed.item()), dtype=torch.uint8)
    call("genolm_fft_plan", size, tables)
    tile, local, shared, lanes = tables[:32].view(torch.int64).tolist()
    return Plan(size, tables, tile, local, bool(shared), lanes)
