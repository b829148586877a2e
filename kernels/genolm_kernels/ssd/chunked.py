"""State-space duality in plain torch, as matrix products within and between chunks.

    within a chunk    y_i = Σ_j (C_i · B_j) exp(a_{j+1} + ... + a_i) dt_j x_j        a_t = dt_t A
    from before it    y_i += exp(a_1 + ... + a_i) C_i h            h: the state at the chunk's start

(arXiv 2405.21060, section 6.) Sums of a are taken in float64 and inside a chunk only, since their
differences are what is exponentiated: float32 would lose what a large step leaves of the small
ones after it. `exp2` stands for `exp`, which takes torch much longer where it underflows. Letters
are those of `chunks`.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from genolm_kernels.ssd.chunks import Call, Layout, Scratch, gather, scatter
from genolm_kernels.ssd.reference import step_sizes

LOG2_E = 1 / math.log(2)


@dataclass(frozen=True)
class Steps:
    """The step sizes of a tile, and what follows from them.

    Attributes:
        raw: Step sizes before softplus (K, R, G, Q, J), float64 as all but the last three.
        sizes: Step sizes, zero after the last position.
        rates: A (G, 1, J).
        sums: log2 of the decay from the chunk's start (K, R, G, J, Q).
        since: Decay from the chunk's start (K, R, G, Q, J).
        until: Decay to the chunk's end (K, R, G, Q, J).
        across: Decay across the whole chunk (K, R, G, 1, J, 1).
    """

    raw: Tensor
    sizes: Tensor
    rates: Tensor
    sums: Tensor
    since: Tensor
    until: Tensor
    across: Tensor

    @classmethod
    def read(cls, call: Call, layout: Layout, span: range, chunks: int) -> "Steps":
        """Read the steps of this span."""
        heads = (layout.groups, layout.heads)
        rates = call.A.double().view(layout.groups, 1, layout.heads)
        shape = (chunks, call.dt.shape[0], layout.chunk, *heads)
        raw = torch.empty(shape, dtype=torch.float64)
        gather(torch.unflatten(call.dt, -1, heads), span, raw)
        raw = raw.transpose(2, 3)
        if call.dt_bias is not None:
            raw += call.dt_bias.double().view(rates.shape)
        sizes = step_sizes(raw, None, call.dt_softplus, raw.dtype)
        if rest := len(span) % layout.chunk:
            sizes = sizes.clone() if sizes is raw else sizes
            sizes[-1, ..., rest:, :] = 0
        sums = cumulate((sizes * rates).transpose(-1, -2) * LOG2_E, reverse=layout.reverse)
        end = sums[..., :1] if layout.reverse else sums[..., -1:]
        since = sums.exp2().to(call.dtype).transpose(-1, -2)
        until = (end - sums).exp2().to(call.dtype).transpose(-1, -2)
        across = end.exp2().to(call.dtype).unsqueeze(3)
        return cls(raw, sizes, rates, sums, since, until, across)


def cumulate(values: Tensor, *, reverse: bool) -> Tensor:
    """Sums along the last axis up to each place, or from it on."""
    return values.flip(-1).cumsum(-1).flip(-1) if reverse else values.cumsum(-1)


@dataclass(frozen=True)
class Tile:
    """The inputs of a stretch of positions.

    Attributes:
        span: The positions.
        steps: Step sizes and decays.
        x: Inputs (K, R, G, Q, J P).
        stepped: dt x, in the shape of x.
        weighted: The same times the decay to the chunk's end.
        B: Input matrix (K, R, G, Q, N).
        C: Output matrix (K, R, G, Q, N).
    """

    span: range
    steps: Steps
    x: Tensor
    stepped: Tensor
    weighted: Tensor
    B: Tensor
    C: Tensor


class Work:
    """The matrix products of one block of sequences, tile by tile.

    Args:
        call: The arguments for these sequences.
        layout: The sizes of the pieces.
    """

    def __init__(self, call: Call, layout: Layout) -> None:
        self.call = call
        self.layout = layout
        self.scratch = Scratch(call.dtype)
        self.exact = Scratch(torch.float64)
        self.rows = call.x.shape[0]
        later = torch.full((layout.chunk, layout.chunk), -math.inf, dtype=call.dtype)
        self.later = later.tril_(-1) if layout.reverse else later.triu_(1)

    def read(self, span: range) -> Tile:
        """Read the positions of a tile."""
        call, layout = self.call, self.layout
        chunks = -(-len(span) // layout.chunk)
        x = self.read_wide("x", call.x, span)
        steps = Steps.read(call, layout, span, chunks)
        stepped = self.scale("stepped", x, steps.sizes.to(call.dtype))
        weighted = self.scale("weighted", stepped, steps.until)
        matrices = []
        for name, matrix in (("B", call.B), ("C", call.C)):
            shape = (chunks, self.rows, layout.groups, layout.chunk, layout.d_state)
            into = self.scratch.take(name, *shape)
            gather(matrix, span, into.transpose(2, 3))
            matrices.append(into)
        return Tile(span, steps, x, stepped, weighted, *matrices)

    def read_wide(self, name: str, source: Tensor, span: range) -> Tensor:
        """Read (R, length, heads, headdim) as (K, R, G, Q, J P)."""
        layout = self.layout
        shape = (-(-len(span) // layout.chunk), self.rows, layout.groups, layout.chunk)
        into = self.scratch.take(name, *shape, layout.heads * layout.headdim)
        by_head = layout.by_head(into).transpose(2, 3)
        gather(torch.unflatten(source, 2, (layout.groups, layout.heads)), span, by_head)
        return into

    def write_wide(self, wide: Tensor, span: range, target: Tensor) -> None:
        """The inverse of `read_wide`."""
        layout = self.layout
        by_head = layout.by_head(wide).transpose(2, 3)
        scatter(by_head, span, torch.unflatten(target, 2, (layout.groups, layout.heads)))

    def states(self, tile: Tile, entry: Tensor) -> tuple[Tensor, Tensor]:
        """Carry the state through a tile.

        Args:
            tile: The inputs.
            entry: State before the tile (R, G, N, J P).

        Returns:
            The state before each chunk (K, R, G, N, J P), and the one after the tile.
        """
        slots, before, after = self.slots("states", tile)
        ends = reversed(range(len(before))) if self.layout.reverse else range(len(before))
        slots[-1 if self.layout.reverse else 0].copy_(entry)
        multiply(tile.B.transpose(-1, -2), tile.weighted, after)
        by_head = self.layout.by_head
        for k in ends:
            by_head(after[k]).addcmul_(by_head(before[k]), tile.steps.across[k])
        return before, slots[0 if self.layout.reverse else -1]

    def slots(self, name: str, tile: Tile) -> tuple[Tensor, Tensor, Tensor]:
        """States at the borders of chunks: all of them, those before and those after a chunk."""
        shape = (self.rows, *self.layout.state_shape)
        slots = self.scratch.take(name, len(tile.x) + 1, *shape)
        sides = slots[:-1], slots[1:]
        return (slots, *(reversed(sides) if self.layout.reverse else sides))

    def scale(self, name: str, wide: Tensor, factors: Tensor) -> Tensor:
        """Multiply (K, R, G, Q, J P) with factors (K, R, G, Q, J), into a buffer."""
        into = self.scratch.take(name, *wide.shape)
        by_head = self.layout.by_head
        torch.mul(by_head(wide), factors.unsqueeze(-1), out=by_head(into))
        return into

    def carried(self, tile: Tile, entries: Tensor) -> Tensor:
        """What the states before each chunk give to the outputs (K, R, G, Q, J P)."""
        into = self.scratch.take("carried", *tile.x.shape)
        multiply(tile.C, entries, into)
        self.layout.by_head(into).mul_(tile.steps.since.unsqueeze(-1))
        return into

    def similarities(self, tile: Tile) -> Tensor:
        """The products C_i · B_j (K, R, G, Q, Q)."""
        into = self.scratch.take("similarities", *tile.C.shape[:-1], self.layout.chunk)
        multiply(tile.C, tile.B.transpose(-1, -2), into)
        return into

    def decays(self, name: str, tile: Tile, head: int) -> Tensor:
        """Decay from position j to position i of a chunk (K, R, G, Q, Q), zero where j is later."""
        sums = tile.steps.sums[:, :, :, head]
        exact = self.exact.take("differences", *sums.shape, sums.shape[-1])
        torch.sub(sums.unsqueeze(-1), sums.unsqueeze(-2), out=exact)
        # Masked before exp2, so that nothing overflows.
        into = self.scratch.take(name, *exact.shape).copy_(exact).add_(self.later)
        return into.exp2_()

    def add_within(self, name: str, tile: Tile, y: Tensor, pairs: Tensor, head: int) -> None:
        """Add to the outputs (K, R, G, Q, J P) of a head what its own chunk gives them."""
        part = slice(head * self.layout.headdim, (head + 1) * self.layout.headdim)
        into = self.scratch.take(name, *y.shape[:-1], self.layout.headdim)
        multiply(pairs, tile.stepped[..., part], into)
        y[..., part] += into


def multiply(left: Tensor, right: Tensor, into: Tensor) -> None:
    """Batched matrix product over the last two axes, into a contiguous tensor."""
    torch.bmm(left.flatten(0, -3), right.flatten(0, -3), out=into.flatten(0, -3))


def forward(call: Call, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Scan.

    Args:
        call: The arguments.
        keep: Whether a backward pass will need the states at the starts of the tiles.

    Returns:
        y (batch, length, heads, headdim) in x's type, the last state (batch, heads, headdim,
        d_state), and the states before the tiles (tiles, batch, G, N, J P), or none of them.
    """
    layout = Layout.of(call)
    y = torch.empty(call.x.shape, dtype=call.x.dtype)
    ends = torch.zeros(layout.batch, *layout.state_shape, dtype=call.dtype)
    if call.initial_state is not None:
        layout.by_head(ends).copy_(layout.from_state(call.initial_state))
    starts = torch.empty(layout.tiles if keep else 0, *ends.shape, dtype=call.dtype)
    for rows in layout.blocks():
        work = Work(call.rows(rows), layout)
        state = ends[rows]
        for number, span in layout.positions(backwards=False):
            if keep:
                starts[number, rows] = state
            tile = work.read(span)
            entries, end = work.states(tile, state)
            outputs = _outputs(work, tile, entries)
            state.copy_(end)
            work.write_wide(outputs, span, y[rows])
    return y, layout.to_state(ends).contiguous(), starts


def _outputs(work: Work, tile: Tile, entries: Tensor) -> Tensor:
    y = work.carried(tile, entries)
    similarities = work.similarities(tile)
    for head in range(work.layout.heads):
        pairs = work.decays("decays", tile, head).mul_(similarities)
        work.add_within("within", tile, y, pairs, head)
    if work.call.D is not None:
        add_skip(work, y, tile.x)
    if work.call.z is not None:
        y *= F.silu(work.read_wide("z", work.call.z, tile.span), inplace=True)
    return y


def add_skip(work: Work, wide: Tensor, x: Tensor) -> None:
    """Add D * x to (K, R, G, Q, J P), head by head."""
    assert work.call.D is not None
    layout = work.layout
    D = work.call.D.to(wide.dtype).view(layout.groups, 1, layout.heads, 1)
    layout.by_head(wide).addcmul_(layout.by_head(x), D)
