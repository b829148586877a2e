"""The selective scan in plain torch, tile by tile: exact, stable, and lean in memory.

Within a tile of a few steps everything is done for all steps at once, in buffers that stay in the
processor's caches, but for the recurrence itself: one fused multiply-add per step. Decays are
never divided by, and only products of them are formed, so nothing overflows that the recurrence
would not. `exp2` stands for `exp`, which takes torch three times as long, and fifty times where
it underflows. Letters are those of `tiles`.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from genolm_kernels.selective_scan.recurrence import Slots, advance
from genolm_kernels.selective_scan.tiles import Call, Layout

LOG2_E = 1 / math.log(2)


class Matrix:
    """B or C over one segment.

    Attributes:
        values: (T, B, G, N, 1) where it varies along the sequence, (G, N, P) where constant.
    """

    def __init__(self, call: Call, layout: Layout, matrix: Tensor, span: range) -> None:
        self.constant = matrix.dim() == 2
        if self.constant:
            self.values = layout.states(matrix.to(call.dtype)).contiguous()
            return
        steps = call.read(matrix if matrix.dim() == 4 else matrix.unsqueeze(2), span)
        repeats = layout.groups // steps.shape[2]
        wide = steps if repeats == 1 else steps.repeat_interleave(repeats, 2)
        self.values = wide.contiguous().unsqueeze(-1)

    def spread(self, vectors: Tensor, tile: slice, out: Tensor) -> None:
        """Outer product: out (T, B, G, N, P) = matrix * vectors (T, B, G, 1, P)."""
        torch.mul(vectors, self.values if self.constant else self.values[tile], out=out)

    def contract(self, states: Tensor, tile: slice, out: Tensor) -> None:
        """Sum over N: out (T, B, G, 1, P) = sum of matrix * states (T, B, G, N, P)."""
        if self.constant:
            torch.sum(states * self.values, -2, keepdim=True, out=out)
            return
        rows = self.values[tile].flatten(0, 2).transpose(1, 2)
        torch.bmm(rows, states.flatten(0, 2), out=out.flatten(0, 2))


@dataclass(frozen=True)
class Segment:
    """The inputs of a stretch of steps, in the order of the scan.

    Attributes:
        u: Inputs (T, B, d_inner).
        raw: Step sizes before softplus (T, B, d_inner).
        sizes: Step sizes (T, B, d_inner).
        dt: The same as (T, B, G, 1, P).
        x: dt * u (T, B, G, 1, P).
        B: Input matrix.
        C: Output matrix.
    """

    u: Tensor
    raw: Tensor
    sizes: Tensor
    dt: Tensor
    x: Tensor
    B: Matrix
    C: Matrix

    @classmethod
    def read(cls, call: Call, layout: Layout, span: range) -> "Segment":
        """Read the steps of this span."""
        u, delta = call.read(call.u, span), call.read(call.delta, span)
        raw = torch.empty(u.shape, dtype=u.dtype)
        if call.delta_bias is None:
            raw.copy_(delta)
        else:
            torch.add(delta, call.delta_bias.to(u.dtype), out=raw)
        sizes = F.softplus(raw) if call.delta_softplus else raw
        dt = layout.channels(sizes)
        x = layout.channels(torch.mul(sizes, u, out=torch.empty_like(raw)))
        B = Matrix(call, layout, call.B, span)
        C = Matrix(call, layout, call.C, span)
        return cls(u, raw, sizes, dt, x, B, C)


class Work:
    """The buffers of one block of sequences, used by one tile after the other.

    Attributes:
        rates: A * log2(e) (G, N, P).
        decays: exp(dt A), T + 1 slots.
        states: h, T + 1 slots; slot i + 1 is the state after step i, slot 0 the one before.
        products: Scratch.
    """

    def __init__(self, call: Call, layout: Layout) -> None:
        shape = (call.u.shape[0], *layout.state_shape)
        exponents = layout.states(call.A.to(torch.float64) * LOG2_E)
        self.rates = exponents.to(call.dtype).contiguous()
        self.decays = Slots(layout.steps + 1, shape, call.dtype)
        self.states = Slots(layout.steps + 1, shape, call.dtype)
        self.products = Slots(layout.steps, shape, call.dtype)

    def scan(self, segment: Segment, tile: slice) -> Tensor:
        """Fill `decays` and `states` from the entry state in slot 0; returns (T, B, G, N, P)."""
        count = tile.stop - tile.start
        torch.mul(segment.dt[tile], self.rates, out=self.decays.tensor[:count]).exp2_()
        states = self.states.tensor[1 : count + 1]
        segment.B.spread(segment.x[tile], tile, states)
        advance(self.states, self.decays, self.products, count)
        return states


def starts_shape(call: Call, keep: bool) -> tuple[int, ...]:
    """Shape of the states saved at the tiles' starts; no tiles unless they are kept."""
    layout = Layout.of(call)
    return (layout.tiles if keep else 0, layout.batch, *layout.state_shape)


def forward(call: Call, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Scan.

    Args:
        call: The arguments.
        keep: Whether a backward pass will need the states at the starts of the tiles.

    Returns:
        y (batch, length, d_inner) in u's type, the last state (batch, d_inner, N), and the
        states at the tiles' starts (tiles, batch, G, N, P), or none of them (0, ...).
    """
    layout = Layout.of(call)
    y = torch.empty(call.u.shape, dtype=call.u.dtype)
    ends = torch.empty(layout.batch, *layout.state_shape, dtype=call.dtype)
    starts = torch.empty(starts_shape(call, keep), dtype=call.dtype)
    for rows in layout.blocks():
        part = call.rows(rows)
        work = Work(part, layout)
        entry = work.states.tensor[0]
        if part.initial_state is None:
            entry.zero_()
        else:
            entry.copy_(layout.states(part.initial_state))
        for span in layout.segments():
            _forward_segment(part, layout, work, span, y[rows], starts[:, rows])
        ends[rows] = entry
    return y, layout.from_states(ends).contiguous(), starts


def _forward_segment(
    call: Call, layout: Layout, work: Work, span: range, y: Tensor, starts: Tensor
) -> None:
    segment = Segment.read(call, layout, span)
    read_out = torch.empty_like(segment.x)
    entry = work.states.tensor[0]
    for tile in layout.tiles_of(span):
        if len(starts):
            starts[(span.start + tile.start) // layout.steps] = entry
        states = work.scan(segment, tile)
        segment.C.contract(states, tile, read_out[tile])
        entry.copy_(states[-1])
    outputs = read_out.flatten(2)
    if call.D is not None:
        outputs.addcmul_(segment.u, call.D.to(call.dtype))
    if call.z is not None:
        outputs.mul_(F.silu(call.read(call.z, span)))
    call.write(outputs, span, y)
