"""How a call of ssd is cut into blocks of sequences, tiles and chunks, and read.

Letters: K chunks of a tile, R sequences of a block, G groups, J heads of a group, Q positions of a
chunk, N state, P headdim. Tiles are (K, R, G, Q, ...): what the heads of a group share is one
matrix product for all of them. Chunks lie in the order of memory, whichever way the scan runs.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from genolm_kernels.ssd.reference import state_dtype

TILE_ELEMENTS = 1 << 18  # of an input: a float32 buffer of 1 MiB, of which a dozen are in use
LARGEST_CHUNK = 64  # the products within chunks grow with it, those with states shrink


def ceil_div(count: int, size: int) -> int:
    """Pieces of this size that hold the count; integers only, which torch.compile can follow."""
    return -(-count // size)


class Call(NamedTuple):
    """The canonical arguments of a call; shapes as in `genolm_kernels.ssd`."""

    x: Tensor
    dt: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor | None
    z: Tensor | None
    dt_bias: Tensor | None
    initial_state: Tensor | None
    dt_softplus: bool
    chunk_size: int
    reverse: bool

    @property
    def tensors(self) -> tuple[Tensor | None, ...]:
        """Those of the arguments that have gradients."""
        return self[:9]

    @property
    def dtype(self) -> torch.dtype:
        """What the matrices are multiplied in."""
        return state_dtype(*self.tensors)

    def rows(self, rows: slice) -> "Call":
        """The same call for some sequences of the batch."""
        return self._replace(
            x=self.x[rows],
            dt=self.dt[rows],
            B=self.B[rows],
            C=self.C[rows],
            z=None if self.z is None else self.z[rows],
            initial_state=None if self.initial_state is None else self.initial_state[rows],
        )


@dataclass(frozen=True)
class Layout:
    """The sizes of the pieces; they depend on shapes alone, so that a run can be repeated.

    Attributes:
        batch: Sequences.
        length: Positions of a sequence.
        groups: G.
        heads: J, of a group.
        headdim: P.
        d_state: N.
        chunk: Q.
        span: Chunks of a tile, K.
        block: Sequences of a block, R.
        reverse: Whether the scan runs from the last position.
    """

    batch: int
    length: int
    groups: int
    heads: int
    headdim: int
    d_state: int
    chunk: int
    span: int
    block: int
    reverse: bool

    @classmethod
    def of(cls, call: Call) -> "Layout":
        """The layout for the shapes of this call."""
        batch, length, heads, headdim = call.x.shape
        groups, d_state = call.B.shape[2:]
        largest = min(call.chunk_size, LARGEST_CHUNK)
        # Chunks of equal length: the last one is cut short by less than their number.
        chunk = ceil_div(length, ceil_div(length, largest))
        fit = max(1, TILE_ELEMENTS // max(1, chunk * heads * max(headdim, d_state)))
        span = min(fit, ceil_div(length, chunk))
        block = max(1, fit // span)
        return cls(
            batch,
            length,
            groups,
            heads // groups,
            headdim,
            d_state,
            chunk,
            span,
            block,
            call.reverse,
        )

    @property
    def state_shape(self) -> tuple[int, int, int]:
        """(G, N, J P): the state in the layout of the products."""
        return self.groups, self.d_state, self.heads * self.headdim

    @property
    def tiles(self) -> int:
        """Tiles of a sequence."""
        return ceil_div(self.length, self.span * self.chunk)

    def blocks(self) -> Iterator[slice]:
        """The sequences of each block."""
        for start in range(0, self.batch, self.block):
            yield slice(start, min(start + self.block, self.batch))

    def positions(self, *, backwards: bool) -> Iterator[tuple[int, range]]:
        """Number and positions of each tile, in the order of the scan or against it."""
        numbers = range(self.tiles)
        size = self.span * self.chunk
        for number in reversed(numbers) if self.reverse != backwards else numbers:
            start = number * size
            yield number, range(start, min(start + size, self.length))

    def by_head(self, wide: Tensor) -> Tensor:
        """View (..., J P) as (..., J, P)."""
        return torch.unflatten(wide, -1, (self.heads, self.headdim))

    def from_state(self, state: Tensor) -> Tensor:
        """View (batch, heads, headdim, d_state) as (batch, G, N, J, P)."""
        return torch.unflatten(state, 1, (self.groups, self.heads)).movedim(-1, 2)

    def to_state(self, state: Tensor) -> Tensor:
        """View (batch, G, N, J P) as (batch, heads, headdim, d_state)."""
        return self.by_head(state).movedim(2, -1).flatten(1, 2)


class Scratch:
    """Buffers that one tile after the other is worked on in."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._buffers: dict[str, Tensor] = {}

    def take(self, name: str, *shape: int) -> Tensor:
        """The buffer of this name, contiguous in this shape; what it holds is left over."""
        count = math.prod(shape)
        found = self._buffers.get(name)
        if found is None or found.numel() < count:
            found = self._buffers[name] = torch.empty(count, dtype=self.dtype)
        return found[:count].view(shape)


def gather(source: Tensor, span: range, chunks: Tensor) -> None:
    """Read positions of (R, length, ...) into chunks (K, R, Q, ...), with zeros after the last."""
    size = chunks.shape[2]
    whole, rest = divmod(len(span), size)
    cut = span.start + whole * size
    if whole:
        pieces = torch.unflatten(source[:, span.start : cut], 1, (whole, size))
        chunks[:whole].copy_(pieces.transpose(0, 1))
    if rest:
        chunks[whole, :, :rest].copy_(source[:, cut : span.stop])
        chunks[whole, :, rest:].zero_()


def scatter(chunks: Tensor, span: range, target: Tensor) -> None:
    """The inverse of `gather`: write chunks (K, R, Q, ...) to positions of (R, length, ...)."""
    size = chunks.shape[2]
    whole, rest = divmod(len(span), size)
    cut = span.start + whole * size
    if whole:
        pieces = torch.unflatten(target[:, span.start : cut], 1, (whole, size))
        pieces.copy_(chunks[:whole].transpose(0, 1))
    if rest:
        target[:, cut : span.stop].copy_(chunks[whole, :, :rest])
