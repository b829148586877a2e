"""Sequences with a class for every base: from a table whose label is a string as long as the bases.

sequence,label
ACGTTGCA,NNEEEEII
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from genolm.data.labelled import read_labelled
from genolm.data.labelled_set import LabelledSet
from genolm.data.labels import LabelSpace, sorted_names
from genolm.data.masking import IGNORED
from genolm.errors import InputError
from genolm.genome.interval import Interval


@dataclass(frozen=True)
class BaseLabels:
    """Sequences and the class of each of their bases.

    Attributes:
        rows: The sequences; their labels as text where the file has them so.
        names: Class names; those of a file in the order of their ids.
        codes: Number in ``names`` of the class of every base, row after row (bases,); -100 where a
            base does not count.
        windows: Where on a genome the sequences are, if they are from one.
    """

    rows: LabelledSet
    names: tuple[str, ...]
    codes: NDArray[np.int64]
    windows: tuple[Interval, ...] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def bounds(self) -> NDArray[np.int64]:
        """Return where in ``codes`` each row begins, and where the last one ends (rows + 1,)."""
        return row_bounds(self.rows.sequences)

    def take(self, indices: Iterable[int]) -> Self:
        """Return the chosen rows, in that order."""
        chosen = list(indices)
        bounds = self.bounds()
        codes = [self.codes[bounds[i] : bounds[i + 1]] for i in chosen]
        windows = None if self.windows is None else tuple(self.windows[i] for i in chosen)
        joined = np.concatenate([*codes, np.zeros(0, dtype=np.int64)])
        return type(self)(self.rows.take(chosen), self.names, joined, windows)

    def digest(self) -> str:
        """Return a digest of the sequences and the classes of their bases."""
        digest = hashlib.sha256()
        bounds = self.bounds()
        for row, sequence in enumerate(self.rows.sequences):
            digest.update(f"{sequence}\t".encode())
            digest.update(self.codes[bounds[row] : bounds[row + 1]].astype("<i8").tobytes())
        digest.update("\n".join(self.names).encode())
        return digest.hexdigest()

    def learn_space(self) -> LabelSpace:
        """Return the classes of a train part, those that some base has.

        Raises:
            InputError: There is a single one.
        """
        found = {self.names[code] for code in np.unique(self.codes[self.codes != IGNORED])}
        if len(found) < 2:
            raise InputError(
                f"{self.rows.name}: only one class, {min(found)!r}; token_classification needs at"
                " least 2"
            )
        return LabelSpace("classification", sorted_names(found))

    def encode(self, space: LabelSpace) -> NDArray[np.int64]:
        """Return the class id of every base (bases,); -100 where it does not count.

        Raises:
            InputError: A class that the train part does not have; the message says where.
        """
        ids = np.array(
            [space.names.index(name) if name in space.names else -1 for name in self.names],
            dtype=np.int64,
        )
        counted = self.codes != IGNORED
        targets = np.full(len(counted), IGNORED, dtype=np.int64)
        targets[counted] = ids[self.codes[counted]]
        strangers = np.flatnonzero(targets == -1)
        if len(strangers):
            first = int(strangers[0])
            bounds = self.bounds()
            row = int(np.searchsorted(bounds, first, side="right")) - 1
            raise InputError(
                f"{self.rows.place(row)}: label {self.names[self.codes[first]]!r} of base"
                f" {first - int(bounds[row]) + 1} is not in the train part, which has"
                f" {', '.join(space.names)}"
            )
        return targets


def row_bounds(sequences: Sequence[str]) -> NDArray[np.int64]:
    """Return where each of some sequences begins when they stand one after another, and the end."""
    return np.cumsum([0, *(len(sequence) for sequence in sequences)], dtype=np.int64)


def read_base_labels(
    path: str | Path,
    *,
    sequence: str = "sequence",
    label: str = "label",
    split: str | None = None,
    ignore: str | None = None,
) -> BaseLabels:
    """Read a table of sequences with a string of labels, one character a base.

    Args:
        path: As :func:`genolm.data.labelled.read_labelled`.
        sequence: Column with the bases.
        label: Column with the string.
        split: Which part of a folder; None for the folder itself.
        ignore: Character of bases that do not count.

    Raises:
        UsageError: No such file, folder or part.
        InputError: A label of another length than its sequence, a row without a base that counts,
            or what ``read_labelled`` refuses; the message names file and line.
    """
    rows = read_labelled(path, sequence=sequence, label=label, split=split)
    for row, (bases, labels) in enumerate(zip(rows.sequences, rows.labels, strict=True)):
        if len(bases) != len(labels):
            raise InputError(
                f"{rows.place(row)}: {len(labels):,} label(s) for a sequence of {len(bases):,}"
                " bases; one character a base is needed"
            )
        if ignore is not None and not labels.strip(ignore):
            raise InputError(
                f"{rows.place(row)}: every base has the label {ignore!r}, which data.ignore says"
                " does not count; leave the row out"
            )
    letters = np.frombuffer("".join(rows.labels).encode("utf-32-le"), dtype="<u4")
    found, codes = np.unique(letters, return_inverse=True)
    names = tuple(chr(letter) for letter in found)
    return BaseLabels(rows, *leave_out(names, codes.astype(np.int64), ignore))


def leave_out(
    names: tuple[str, ...], codes: NDArray[np.int64], ignore: str | None
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Take a name out of those of classes.

    Args:
        names: Of the classes.
        codes: Number in ``names`` of the class of every base (bases,).
        ignore: The name.

    Returns:
        The other names, and the numbers in them, -100 for that name.
    """
    if ignore not in names:
        return names, codes
    gone = names.index(ignore)
    others = (*names[:gone], *names[gone + 1 :])
    return others, np.where(codes == gone, IGNORED, codes - (codes > gone))


def describe_classes(
    ids: NDArray[np.int64], names: Sequence[str], ignored: str | None = None
) -> str:
    """Return the classes of a sequence's bases as text.

    Args:
        ids: Class of each base (bases,); -100 where it does not count.
        names: Of the classes.
        ignored: What stands for bases that do not count; None where all do.

    Returns:
        One character a base where every name is one; otherwise stretches of one class,
        ``0-12:background;12-40:exon``, 0-based and half-open.
    """
    said = dict(enumerate(names)) | ({} if ignored is None else {IGNORED: ignored})
    if all(len(name) == 1 for name in said.values()):
        return "".join(said[i] for i in ids.tolist())
    if not len(ids):
        return ""
    starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
    ends = [*starts[1:].tolist(), len(ids)]
    stretches = zip(starts.tolist(), ends, strict=True)
    return ";".join(f"{start}-{end}:{said[int(ids[start])]}" for start, end in stretches)
