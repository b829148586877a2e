"""Sequences with their labels as text, and where each was found."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Self

from genolm.errors import InputError
from genolm.tokenization.encode import EncodingCounts, encode

SEPARATOR: Final = ";"
"""Stands between the labels of one sequence."""


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Sequences with what is said about them.

    Attributes:
        name: The file or folder.
        sequences: Bases, in the case of the file.
        labels: The label of each sequence as text, several separated by ``;``; empty when no label
            was asked for.
        files: The file of each sequence.
        lines: Its line there.
        counts: Letters that are not plainly A, C, G or T.
        label_names: The columns, when labels are columns of 0 and 1.
    """

    name: str
    sequences: list[str]
    labels: list[str]
    files: list[str]
    lines: list[int]
    counts: EncodingCounts = field(default_factory=EncodingCounts)
    label_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.sequences)

    def place(self, index: int) -> str:
        """Return ``file:line`` of a sequence, for messages."""
        return f"{self.files[index]}:{self.lines[index]}"

    def take(self, indices: Iterable[int]) -> Self:
        """Return the chosen rows, in that order; the counts stay those of the whole."""
        chosen = list(indices)
        return replace(
            self,
            sequences=[self.sequences[i] for i in chosen],
            labels=[self.labels[i] for i in chosen] if self.labels else [],
            files=[self.files[i] for i in chosen],
            lines=[self.lines[i] for i in chosen],
        )

    def checked(self) -> Self:
        """Return the set with its letters counted.

        Raises:
            InputError: A sequence that is empty or not DNA; the message says where.
        """
        for index, sequence in enumerate(self.sequences):
            if not sequence:
                raise InputError(f"{self.place(index)}: empty sequence; remove the row")
        try:
            counts = encode("".join(self.sequences)).counts
        except InputError:
            for index, sequence in enumerate(self.sequences):
                encode(sequence, source=self.place(index))
            raise
        return replace(self, counts=counts)


def count_shared(train: Sequence[str], test: Sequence[str]) -> int:
    """Count the test sequences that are also in train, letter by letter, whatever their case."""
    known = {sequence.upper() for sequence in train}
    return sum(sequence.upper() in known for sequence in test)
