"""The processes that share a sequence, and which of its positions are whose."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

# Process-wide and not a context variable: recomputation under gradient checkpointing may run in
# autograd's own threads, which must meet the same group.
_active: list["SequenceGroup"] = []


@dataclass(frozen=True)
class SequenceGroup:
    """Processes that hold one slice of every sequence each, in the order of their places.

    Its methods are collectives: every process of the group must come to the same ones in the same
    order, with tensors of the same shape.

    Attributes:
        place: Which slice is this process's, from 0.
        size: How many slices there are.
        handle: torch's process group; None for all processes there are.
    """

    place: int
    size: int
    handle: distributed.ProcessGroup | None = None

    @classmethod
    def of(cls, handle: distributed.ProcessGroup | None = None) -> "SequenceGroup":
        """Make it of torch's process group; None for all processes there are."""
        place, size = distributed.get_rank(handle), distributed.get_world_size(handle)
        return cls(place, size, handle)

    def before(self, *, reverse: bool) -> range:
        """The places that are read before this one, in the order of reading."""
        return range(self.size - 1, self.place, -1) if reverse else range(self.place)

    def gather(self, tensor: Tensor) -> Tensor:
        """What everybody has, one after another along a new first axis."""
        found = tensor.new_empty(self.size, *tensor.shape)
        distributed.all_gather(list(found.unbind()), tensor.contiguous(), group=self.handle)
        return found

    def transpose(self, parts: Tensor) -> Tensor:
        """Give part i (size, ...) to the process at place i; its j-th is then from place j."""
        found = torch.empty_like(parts)
        distributed.all_to_all_single(found, parts, group=self.handle)
        return found

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all places."""
        found = tensor.detach().clone()
        distributed.all_reduce(found, group=self.handle)
        return found

    def shift(self, tensor: Tensor, step: int) -> Tensor:
        """Send to the process `step` places on; what is received, zeros where nobody sends."""
        return self._swap(tensor, self.place + step, self.place - step)

    def mirror(self, tensor: Tensor) -> Tensor:
        """Exchange with the process that is as far from the other end."""
        other = self.size - 1 - self.place
        return tensor if other == self.place else self._swap(tensor, other, other)

    def _swap(self, tensor: Tensor, to: int, source: int) -> Tensor:
        found = torch.zeros_like(tensor, memory_format=torch.contiguous_format)
        wanted = [(distributed.isend, tensor.contiguous(), to), (distributed.irecv, found, source)]
        pairs = [
            distributed.P2POp(kind, what, self._rank(place), group=self.handle)
            for kind, what, place in wanted
            if 0 <= place < self.size
        ]
        for work in distributed.batch_isend_irecv(pairs):
            work.wait()
        return found

    def _rank(self, place: int) -> int:
        return place if self.handle is None else distributed.get_global_rank(self.handle, place)


@contextmanager
def shard_sequence(group: SequenceGroup | None) -> Iterator[None]:
    """Within the block, tensors along the length are this process's slices of longer ones.

    The backward pass belongs into the block too where blocks are recomputed in it (gradient
    checkpointing). Slices have the same length everywhere (`take_slice`).

    The loss of a language model is that of all targets of all slices, the same in every process.
    Its gradients are to be averaged over the processes, as DistributedDataParallel does.

    Args:
        group: Who has the other slices; None, or a group of one, for whole sequences.
    """
    shared = [group] if group is not None and group.size > 1 else []
    before = list(_active)
    _active[:] = shared
    try:
        yield
    finally:
        _active[:] = before


def sequence_group() -> SequenceGroup | None:
    """Who shares the sequences here; None where they are whole."""
    return _active[-1] if _active else None


def take_slice(whole: Tensor, group: SequenceGroup, dim: int = 1) -> Tensor:
    """Cut this process's slice out of a tensor.

    Args:
        whole: The same in every process of the group.
        group: The processes.
        dim: The axis of the length.

    Raises:
        ValueError: If the length cannot be shared out evenly.
    """
    length = whole.shape[dim]
    if length % group.size:
        raise ValueError(
            f"a length of {length} cannot be shared out over {group.size} processes; "
            "choose a multiple"
        )
    return whole.narrow(dim, group.place * (length // group.size), length // group.size)


def whole_length(length: int) -> int:
    """The length of a sequence of which so many positions are here."""
    group = sequence_group()
    return length if group is None else length * group.size


def first_position(length: int) -> int:
    """Where in the whole sequence the first of the `length` positions is that are here."""
    group = sequence_group()
    return 0 if group is None else length * group.place


def refuse_slices(what: str) -> None:
    """Refuse to work on slices.

    Args:
        what: What needs whole sequences, as the beginning of a message.

    Raises:
        ValueError: If sequences are shared over processes here.
    """
    group = sequence_group()
    if group is not None:
        raise ValueError(
            f"{what} needs whole sequences, and here each of {group.size} processes has a slice "
            "(sequence parallelism)"
        )
