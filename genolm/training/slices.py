"""Windows cut into slices for processes that share sequences (`train.sequence_ranks`)."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

import torch
from torch import distributed

from genolm.errors import UsageError
from genolm.parallel import SequenceGroup, take_slice


class Windows(Protocol):
    """A dataset that reads the samples of a batch at once."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """Return one sample."""

    def __getitems__(self, indices: list[int]) -> Sequence[dict[str, torch.Tensor]]:
        """Return several."""

    def names(self, indices: range) -> list[str]:
        """Return what people call samples."""


class SlicedExamples:
    """A dataset in which every batch comes once for each process of a group, cut to its slice.

    The trainer deals batches out in turn: batch j is for process j modulo their number. Processes
    that follow each other share sequences, and so batch j is slice j modulo n of whole batch j / n.

    Args:
        examples: Of whole windows.
        batch_size: Windows of a batch of one group.
        ways: Slices of a window.
    """

    def __init__(self, examples: Windows, batch_size: int, ways: int) -> None:
        self.examples = examples
        self.batch_size = batch_size
        self.ways = ways

    def __len__(self) -> int:
        return len(self.examples) * self.ways

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """Return the slice of one sample."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> list[dict[str, torch.Tensor]]:
        """Return the slices of a batch; those of a stage are of pieces (pieces, length / ways)."""
        wholes = [self._whole(index) for index in indices]
        groups = [SequenceGroup(place, self.ways) for _, place in wholes]
        found = self.examples.__getitems__([index for index, _ in wholes])
        return [
            {name: take_slice(value, group, dim=-1) for name, value in item.items()}
            for item, group in zip(found, groups, strict=True)
        ]

    def names(self, indices: range) -> list[str]:
        """Return the windows that samples show, by their numbers before they were cut."""
        return self.examples.names(indices)

    def _whole(self, index: int) -> tuple[int, int]:
        """Number of the sample that is cut, and which slice of it is wanted."""
        batch, row = divmod(index, self.batch_size)
        whole, place = divmod(batch, self.ways)
        return whole * self.batch_size + row, place


def slice_examples(examples: Windows, batch_size: int, ways: int) -> Windows:
    """Cut samples into slices if there are to be several; arguments as of `SlicedExamples`."""
    return examples if ways == 1 else SlicedExamples(examples, batch_size, ways)


def join_group(rank: int, size: int, ways: int, timeout: timedelta) -> SequenceGroup | None:
    """Meet the processes that share sequences with this one: those next to each other.

    Args:
        rank: Number of this process.
        size: How many there are.
        ways: Slices of a sequence.
        timeout: Of an exchange.

    Returns:
        The group; None where sequences stay whole.

    Raises:
        UsageError: The processes cannot be divided so.
    """
    if size % ways:
        raise UsageError(
            f"train.sequence_ranks: {size} processes cannot share sequences by {ways}; start "
            f"a multiple of {ways} with torchrun --nproc-per-node"
        )
    if ways == 1:
        return None
    # A group of its own, so that these exchanges and those of gradients cannot meet.
    groups = [
        distributed.new_group(list(range(first, first + ways)), timeout=timeout)
        for first in range(0, size, ways)
    ]
    return SequenceGroup.of(groups[rank // ways])
