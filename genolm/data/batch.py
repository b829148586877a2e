"""Samples that were read at once: a list of them to look at, a batch without copying."""

from collections.abc import Iterator, Mapping, Sequence
from typing import overload

import torch

Item = dict[str, torch.Tensor]
Stages = Sequence[tuple[int, int]]


class Batch(Sequence[Item]):
    """Samples as rows of shared columns.

    Args:
        columns: Each (samples, length).
        numbers: Numbers of the samples in their run.
        stages: Pairs (first sample after the stage, length) in ascending order: a sample of a stage
            is its window cut into pieces of that length, (pieces, length) instead of (length,).
    """

    def __init__(
        self, columns: Mapping[str, torch.Tensor], numbers: Sequence[int], stages: Stages = ()
    ) -> None:
        self.columns = dict(columns)
        self.numbers = numbers
        self.stages = stages

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> "Batch": ...
    def __getitem__(self, index: int | slice) -> "Item | Batch":
        """Return one sample, its columns (length,), or several of them."""
        if isinstance(index, slice):
            rows = {name: column[index] for name, column in self.columns.items()}
            return Batch(rows, self.numbers[index], self.stages)
        pieces = self._pieces(self.numbers[index])
        row = {name: column[index] for name, column in self.columns.items()}
        if pieces is None:
            return row
        return {name: column.view(-1, pieces) for name, column in row.items()}

    def __iter__(self) -> Iterator[Item]:
        return (self[index] for index in range(len(self)))

    def _pieces(self, number: int) -> int | None:
        """Return the length of the pieces that a sample is cut into; None for whole windows."""
        return next((length for end, length in self.stages if number < end), None)

    def join(self) -> Item:
        """Return the columns (batch, length), pieces of a window counting as windows.

        Raises:
            ValueError: The samples are of several stages.
        """
        found = {self._pieces(number) for number in self.numbers} if self.stages else {None}
        if len(found) > 1:
            raise ValueError(f"samples {list(self.numbers)} are of stages that differ in length")
        (pieces,) = found
        if pieces is None:
            return self.columns
        return {name: column.view(-1, pieces) for name, column in self.columns.items()}


def stack(items: Sequence[Item], numbers: Sequence[int]) -> Batch:
    """Make samples of equal shapes, read one by one, rows of shared columns."""
    columns = {name: torch.stack([item[name] for item in items]) for name in items[0]}
    return Batch(columns, numbers)


def collate(items: Sequence[Item]) -> Item:
    """Join samples of one stage: (batch, length), pieces of a window counting as windows."""
    if isinstance(items, Batch):
        return items.join()
    join = torch.stack if items[0]["labels"].dim() == 1 else torch.cat
    return {name: join([item[name] for item in items]) for name in items[0]}
