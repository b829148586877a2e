"""How a selective scan is cut into blocks of sequences, segments and tiles, and read.

Letters: T steps, B batch, G groups, N state, P channels of a group. Tiles are (T, B, G, N, P):
channels innermost, where B_t and C_t are scalars and step sizes are contiguous.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from genolm_kernels.selective_scan.reference import state_dtype

TILE_ELEMENTS = 1 << 18  # a float32 buffer of 1 MiB; three of them are in use at a time
SEGMENT_ELEMENTS = 1 << 17  # of an input
BLOCK_ELEMENTS = 1 << 16  # of one step's state; larger batches go in several blocks
FEWEST_STEPS = 8  # of a tile


def ceil_div(count: int, size: int) -> int:
    """Pieces of this size that hold the count; integers only, which torch.compile can follow."""
    return -(-count // size)


class Call(NamedTuple):
    """The canonical arguments of a call; shapes as in `genolm_kernels.selective_scan`."""

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor | None
    z: Tensor | None
    delta_bias: Tensor | None
    initial_state: Tensor | None
    delta_softplus: bool
    reverse: bool

    @property
    def tensors(self) -> tuple[Tensor | None, ...]:
        """Those of the arguments that have gradients."""
        return self[:9]

    @property
    def dtype(self) -> torch.dtype:
        """What the scan computes in."""
        return state_dtype(*self.tensors)

    def rows(self, rows: slice) -> "Call":
        """The same call for some sequences of the batch."""
        return self._replace(
            u=self.u[rows],
            delta=self.delta[rows],
            B=self.B if self.B.dim() == 2 else self.B[rows],
            C=self.C if self.C.dim() == 2 else self.C[rows],
            z=None if self.z is None else self.z[rows],
            initial_state=None if self.initial_state is None else self.initial_state[rows],
        )

    def read(self, tensor: Tensor, span: range) -> Tensor:
        """Steps of (batch, length, ...) in the order of the scan, as (T, batch, ...).

        A view where that is possible, and not contiguous then.
        """
        length = tensor.shape[1]
        if self.reverse:
            part = tensor[:, length - span.stop : length - span.start].flip(1)
        else:
            part = tensor[:, span.start : span.stop]
        return part.transpose(0, 1).to(self.dtype)

    def write(self, steps: Tensor, span: range, tensor: Tensor) -> None:
        """The inverse of `read`: put (T, batch, ...) where it belongs in `tensor`."""
        length = tensor.shape[1]
        part = steps.transpose(0, 1)
        if self.reverse:
            tensor[:, length - span.stop : length - span.start] = part.flip(1)
        else:
            tensor[:, span.start : span.stop] = part


@dataclass(frozen=True)
class Layout:
    """The sizes of the pieces; they depend on shapes alone, so that a run can be repeated.

    Attributes:
        batch: Sequences.
        length: Steps of a sequence.
        groups: G; the channels of a group share B_t and C_t.
        d_state: N.
        width: P.
        rows: Sequences in a block.
        steps: Steps in a tile, T.
        segment: Steps in a segment, a multiple of T.
    """

    batch: int
    length: int
    groups: int
    d_state: int
    width: int
    rows: int
    steps: int
    segment: int

    @classmethod
    def of(cls, call: Call) -> "Layout":
        """The layout for the shapes of this call."""
        batch, length, d_inner = call.u.shape
        d_state = call.A.shape[1]
        groups = math.lcm(*(matrix.shape[2] for matrix in (call.B, call.C) if matrix.dim() == 4))
        blocks = max(1, ceil_div(batch * d_inner * d_state, BLOCK_ELEMENTS))
        rows = max(1, ceil_div(batch, blocks))
        # The state at each tile's start is kept for the backward pass: at most twice the input.
        fewest = max(FEWEST_STEPS, d_state // 2)
        steps = min(length, max(fewest, TILE_ELEMENTS // (rows * d_inner * d_state)))
        segment = steps * max(1, SEGMENT_ELEMENTS // (rows * d_inner * steps))
        return cls(batch, length, groups, d_state, d_inner // groups, rows, steps, segment)

    @property
    def tiles(self) -> int:
        """Tiles in a sequence."""
        return ceil_div(self.length, self.steps)

    @property
    def state_shape(self) -> tuple[int, int, int]:
        """(G, N, P)."""
        return self.groups, self.d_state, self.width

    def blocks(self) -> Iterator[slice]:
        """The sequences of each block."""
        for start in range(0, self.batch, self.rows):
            yield slice(start, min(start + self.rows, self.batch))

    def segments(self) -> list[range]:
        """The steps of each segment."""
        starts = range(0, self.length, self.segment)
        return [range(start, min(start + self.segment, self.length)) for start in starts]

    def tiles_of(self, span: range) -> list[slice]:
        """The steps of each tile of a segment, counted from the segment's start."""
        starts = range(0, len(span), self.steps)
        return [slice(start, min(start + self.steps, len(span))) for start in starts]

    def channels(self, steps: Tensor) -> Tensor:
        """View (..., d_inner) as (..., G, 1, P)."""
        return steps.reshape(*steps.shape[:-1], self.groups, 1, self.width)

    def states(self, tensor: Tensor) -> Tensor:
        """View (..., d_inner, N) as (..., G, N, P)."""
        shape = (*tensor.shape[:-2], self.groups, self.width, self.d_state)
        return tensor.reshape(shape).transpose(-1, -2)

    def from_states(self, tensor: Tensor) -> Tensor:
        """View (..., G, N, P) as (..., d_inner, N)."""
        return tensor.transpose(-1, -2).flatten(-3, -2)
