"""How a selective scan is cut into programs, and what its Triton kernels are given.

Letters: N states, G the groups within which B and C are the same for all channels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from genolm_kernels import _triton

BLOCK = 32  # channels of a program: one warp for each 16 states
STATES_OF_WARP = 16
SPAN = 64  # steps between the states that the backward pass finds; 4 / SPAN * N bytes a channel
TILE_STATES = 32  # states of a channel, of all steps taken at a time: what registers hold
PROGRAMS = 8  # that one multiprocessor runs at a time
FEWEST_STEPS = 128  # of a chunk
MOST_STATES = 128  # a program with more would need more registers than there are
MOST_SEQUENCES = 65535  # of a grid's last axis
LARGEST = 2**31 - 1
MULTIPROCESSORS = 132  # where there is no device to ask


class Way(NamedTuple):
    """What one direction scans; shapes as in `genolm_kernels.selective_scan`."""

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor | None
    delta_bias: Tensor | None


def refuses(u: Tensor, delta: Tensor, A: Tensor, *others: object) -> str | None:
    """The reason why a call with these arguments cannot run on Triton, or None.

    Args:
        u: Inputs (batch, length, d_inner).
        delta: Step sizes (batch, length, d_inner).
        A: State matrix (d_inner, d_state).
        *others: The other arguments.
    """
    if A.shape[1] > MOST_STATES:
        return f"it holds at most {MOST_STATES} states of a channel and was given {A.shape[1]}"
    if u.shape[0] > MOST_SEQUENCES:
        return f"it takes at most {MOST_SEQUENCES} sequences and was given {u.shape[0]}"
    return _triton.refuses(u, delta, A, *others)


def ceil_div(count: int, size: int) -> int:
    """Pieces of this size that hold the count."""
    return -(-count // size)


def power_of_two(count: int) -> int:
    """The smallest power of two that holds the count."""
    return 1 << max(0, count - 1).bit_length()


def chunk_size(programs: int, length: int, multiprocessors: int) -> int:
    """Positions that one program walks along: all of them, or a part where programs are few.

    Chunks let all of a device work on few sequences, but every state is computed nearly twice:
    worth it from twice as many programs on.

    Args:
        programs: Of a scan in one piece: sequences times blocks of channels.
        length: Positions.
        multiprocessors: Of the device.

    Returns:
        A multiple of SPAN.
    """
    spans = ceil_div(length, SPAN)
    chunks = multiprocessors * PROGRAMS // max(1, programs)
    if chunks < 2:
        return spans * SPAN
    return max(ceil_div(FEWEST_STEPS, SPAN), ceil_div(spans, chunks)) * SPAN


def most_positions(ways: Sequence[Way], z: Tensor | None) -> int:
    """Of a chunk, within which kernels count elements in 32 bits; a multiple of SPAN."""
    u, A = ways[0].u, ways[0].A
    tensors = [tensor for way in ways for tensor in (way.u, way.delta, way.B, way.C)]
    steps = [
        tensor.stride(1) for tensor in (*tensors, z) if tensor is not None and tensor.dim() > 2
    ]
    widest = max(*steps, u.shape[2], ceil_div(A.numel(), SPAN))
    return LARGEST // widest // SPAN * SPAN


@cache
def multiprocessors(device: torch.device) -> int:
    """Of the device; a usual number where it is interpreted."""
    if device.type != "cuda":
        return MULTIPROCESSORS
    return torch.cuda.get_device_properties(device).multi_processor_count


@dataclass(frozen=True)
class Plan:
    """Sizes of a call, and the programs that compute it.

    Attributes:
        batch: Sequences.
        length: Positions.
        channels: d_inner.
        states: N.
        groups: G.
        directions: 1 or 2.
        size: Positions of a chunk.
    """

    batch: int
    length: int
    channels: int
    states: int
    groups: int
    directions: int
    size: int

    @classmethod
    def of(cls, ways: Sequence[Way], z: Tensor | None) -> "Plan":
        """The plan for these shapes on this device."""
        way = ways[0]
        batch, length, channels = way.u.shape
        matrices = (way.B, way.C)
        groups = math.lcm(*(matrix.shape[2] for matrix in matrices if matrix.dim() == 4))
        whole = cls(batch, length, channels, way.A.shape[1], groups, len(ways), length)
        size = chunk_size(whole.blocks * batch, length, multiprocessors(way.u.device))
        size = min(size, most_positions(ways, z))
        return cls(batch, length, channels, way.A.shape[1], groups, len(ways), size)

    @property
    def width(self) -> int:
        """Channels of a group."""
        return self.channels // self.groups

    @property
    def block(self) -> int:
        """Channels of a program."""
        # Lanes without a channel cost nothing on a device, and as much as any in the interpreter.
        return min(BLOCK, power_of_two(self.width)) if _triton.INTERPRETED else BLOCK

    @property
    def padded(self) -> int:
        """The power of two that holds N."""
        return power_of_two(self.states)

    @property
    def warps(self) -> int:
        """Warps of a program that keeps states."""
        return max(1, self.padded // STATES_OF_WARP)

    @property
    def tile(self) -> int:
        """Steps taken at a time."""
        return 4 if 4 * self.padded <= TILE_STATES else 2

    @property
    def blocks(self) -> int:
        """Blocks of channels."""
        return self.groups * ceil_div(self.width, self.block)

    @property
    def chunks(self) -> int:
        """Chunks of a sequence."""
        return ceil_div(self.length, self.size)

    @property
    def spans(self) -> int:
        """Spans of a sequence."""
        return ceil_div(self.length, SPAN)

    def constants(self, ways: Sequence[Way], softplus: bool) -> dict[str, Any]:
        """What kernels are compiled for."""
        return {
            "N": self.states,
            "NP": self.padded,
            "BD": self.block,
            "T": self.tile,
            "DIRECTIONS": self.directions,
            "GROUPED": self.groups > 1,
            "B_FIXED": ways[0].B.dim() == 2,
            "C_FIXED": ways[0].C.dim() == 2,
            "SOFTPLUS": softplus,
        }
