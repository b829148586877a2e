"""The parts of a labelled set that has a class for every base, and how they are split."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genolm.data.base_labels import BaseLabels, read_base_labels, row_bounds
from genolm.data.interval_labels import read_interval_labels
from genolm.data.labelled_set import LabelledSet
from genolm.data.labels import LabelSpace
from genolm.data.labels import Task as Label
from genolm.data.masking import IGNORED
from genolm.data.token_dataset import TokenDataset
from genolm.errors import InputError, UsageError
from genolm.genome.aliases import ContigResolver
from genolm.genome.fasta import Fasta
from genolm.genome.interval import Interval
from genolm.metrics.baselines import majority_rate
from genolm.metrics.local_kmers import local_kmer_scores
from genolm.training.labelled_parts import (
    count_duplicates,
    hold_out_rows,
    require_test,
    warn_of_duplicates,
)
from genolm.training.recipe_finetune import LabelledSection


@dataclass(frozen=True)
class TokenPart:
    """Sequences and the class of every base.

    Attributes:
        rows: The sequences.
        classes: Class ids, row after row (bases,); -100 where a base does not count.
        windows: Where on a genome the sequences are, if they are from one.
        digest: Of the sequences and the classes.
    """

    rows: LabelledSet
    classes: NDArray[np.int64]
    windows: Sequence[Interval] | None
    digest: str

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Which bases count, in the loss and in figures (bases,)."""
        return np.not_equal(self.classes, IGNORED)

    @property
    def targets(self) -> NDArray[Any]:
        """Class ids of the bases that count, row after row."""
        return self.classes[self.counted]

    def bounds(self) -> NDArray[np.int64]:
        """Return where in ``targets`` each row begins, and where the last one ends (rows + 1,)."""
        before = np.concatenate([[0], np.cumsum(self.counted)])
        return np.asarray(before[row_bounds(self.rows.sequences)], dtype=np.int64)

    def examples(
        self, length: int, *, conjoin: bool = False, reverse: bool = False
    ) -> TokenDataset:
        """Return the rows in order; see :class:`genolm.training.parts.Part`."""
        return TokenDataset(
            self.rows.sequences, self.classes, length=length, conjoin=conjoin, reverse=reverse
        )

    def name_columns(self) -> Sequence[str]:
        """Return the columns that say which row is meant."""
        return ["row"] if self.windows is None else ["chrom", "start", "end"]

    def name(self, row: int) -> Sequence[str]:
        """Return the number of a row, from 0, or its place on the genome."""
        if self.windows is None:
            return [str(row)]
        place = self.windows[row]
        return [place.chrom, str(place.start), str(place.end)]


@dataclass(frozen=True)
class TokenParts:
    """A labelled set, split.

    Attributes:
        space: What classes there are.
        train: Learned from.
        valid: Decides which epoch is kept.
        test: Judged once.
        learned: Train, with what was held out of it: what a baseline may learn from.
    """

    space: LabelSpace
    train: TokenPart
    valid: TokenPart
    test: TokenPart
    learned: TokenPart

    @property
    def inputs(self) -> int:
        """Sequences that the model reads for an example."""
        return 1

    @property
    def longest(self) -> int:
        """Bases of the longest sequence of any part."""
        return max(len(sequence) for part in self._parts() for sequence in part.rows.sequences)

    def _parts(self) -> tuple[TokenPart, ...]:
        return self.train, self.valid, self.test

    def digests(self) -> dict[str, str]:
        """Return a digest of each part's sequences and classes."""
        names = ("train", "valid", "test")
        return {name: part.digest for name, part in zip(names, self._parts(), strict=True)}

    @cached_property
    def duplicates(self) -> dict[str, int]:
        """Test sequences that are also in train, as they are and on the other strand."""
        return count_duplicates(self.learned.rows, self.test.rows)

    def facts(self) -> dict[str, Any]:
        """Return what metrics.json says of the set."""
        ignored = int((~self.test.counted).sum())
        return {
            "duplicates": self.duplicates,
            "sequences": len(self.test.rows),
            **({"ignored_bases": ignored} if ignored else {}),
        }

    def warnings(self, length: int) -> Iterator[str]:
        """Yield what of the test part is also in train."""
        return warn_of_duplicates(self.duplicates, len(self.test.rows))

    def describe(self, length: int) -> str:
        """Say what is trained on."""
        return (
            f"sequences of up to {length:,} bases with a class for each of them"
            f" ({len(self.train.targets):,} in train)"
        )

    def baseline_scores(self, task: Label, seed: int) -> dict[str, NDArray[np.float64]]:
        """Return the scores of the k-mers around each base of the test part."""
        scores = local_kmer_scores(
            self.learned.rows.sequences,
            self.learned.classes,
            self.test.rows.sequences,
            classes=len(self.space.names),
            seed=seed,
        )
        return {"local_kmers": scores[self.test.counted]}

    def strata_figures(self, scores: object, task: Label) -> dict[str, Any]:
        """Return nothing: sequences have no strata."""
        return {}

    def constant_figures(self, task: Label) -> dict[str, dict[str, float | None]]:
        """Return the accuracy of the majority."""
        return {
            "majority": {"accuracy": majority_rate(self.learned.targets, self.test.targets)},
        }

    def require_fit(self, most: int, why: str) -> None:
        """Refuse sequences that a model would have to cut.

        Args:
            most: Bases that it reads.
            why: Which key says so.

        Raises:
            InputError: Naming the file and line of the first one.
        """
        for part in self._parts():
            for row, sequence in enumerate(part.rows.sequences):
                if len(sequence) > most:
                    raise InputError(
                        f"{part.rows.place(row)}: the sequence has {len(sequence):,} bases, and"
                        f" {why} {most:,}; labelled bases cannot be left out: split the sequence"
                    )


def read_token_parts(data: LabelledSection, seed: int) -> TokenParts:
    """Read sequences with a class for every base, and hold out a part of train.

    Args:
        data: The recipe's section.
        seed: Of the held-out part.

    Raises:
        UsageError: When a file, a part, a contig or the held-out share is missing.
        InputError: When a file is not what it should be, or a class is not one of train's.
    """
    whole, valid, test = _read_intervals(data) if data.fasta is not None else _read_tables(data)
    space = whole.learn_space()
    learned = _part(whole, space)
    if valid is not None:
        return TokenParts(space, learned, _part(valid, space), _part(test, space), learned)
    divided = hold_out_rows(len(whole), data.valid_fraction, seed)
    train, chosen = (_part(whole.take(at), space) for at in divided)
    return TokenParts(space, train, chosen, _part(test, space), learned)


def _part(labels: BaseLabels, space: LabelSpace) -> TokenPart:
    return TokenPart(labels.rows, labels.encode(space), labels.windows, labels.digest())


Read = tuple[BaseLabels, BaseLabels | None, BaseLabels]
"""Train, valid where it is not held out by seed, and test."""


def _read_tables(data: LabelledSection) -> Read:
    require_test(data)

    def read(part: str) -> BaseLabels:
        path = getattr(data, part) or data.train
        assert isinstance(data.label, str)
        split = part if path.is_dir() else None
        found = read_base_labels(
            path, sequence=data.sequence, label=data.label, split=split, ignore=data.ignore
        )
        if not len(found):
            raise InputError(f"{path}: no sequence for the {part} part")
        return found

    return read("train"), None if data.valid is None else read("valid"), read("test")


def _read_intervals(data: LabelledSection) -> Read:
    assert data.fasta is not None
    assert data.window is not None
    read = partial(
        read_interval_labels, fasta=Fasta(data.fasta), window=data.window, ignore=data.ignore
    )
    rest = read(data.train)
    parts: dict[str, BaseLabels | None] = {}
    for name in ("test", "valid"):
        file, contigs = getattr(data, name), getattr(data, f"{name}_groups")
        if file is not None and contigs is not None:
            raise UsageError(f"data.{name}_groups: data.{name} is given; leave one of them out")
        if contigs is not None:
            rest, parts[name] = _divide(rest, contigs, f"{name}_groups")
        else:
            parts[name] = None if file is None else read(file)
    test = parts["test"]
    if test is None:
        raise UsageError("data.test is required, or data.test_groups (contigs of data.train)")
    _refuse_shared([rest, *(part for part in parts.values() if part is not None)])
    return rest, parts["valid"], test


def _divide(labels: BaseLabels, contigs: Sequence[str], key: str) -> tuple[BaseLabels, BaseLabels]:
    """Return the windows outside some contigs, and those on them."""
    assert labels.windows is not None
    chroms = [place.chrom for place in labels.windows]
    known = dict.fromkeys(chroms, 0)
    resolver = ContigResolver(known)
    chosen = {resolver.resolve(name) or name for name in contigs}
    if strangers := sorted(chosen - known.keys()):
        raise UsageError(
            f"data.{key}: {labels.rows.name} has no interval on {strangers[0]!r}, or it is held out"
            f" already; there are {', '.join(known)}"
        )
    stay = [row for row, chrom in enumerate(chroms) if chrom not in chosen]
    if not stay:
        raise UsageError(f"data.{key}: no contig of {labels.rows.name} is left to train on")
    out = [row for row, chrom in enumerate(chroms) if chrom in chosen]
    return labels.take(stay), labels.take(out)


def _refuse_shared(parts: Sequence[BaseLabels]) -> None:
    """Refuse a contig of two parts: what one is judged on would be shown in the other."""
    owners: dict[str, str] = {}
    for part in parts:
        chroms = {place.chrom for place in part.windows or ()}
        if shared := sorted(chroms & owners.keys()):
            raise UsageError(
                f"data: {owners[shared[0]]} and {part.rows.name} both have intervals on"
                f" {shared[0]}; every part needs contigs of its own"
            )
        owners |= dict.fromkeys(chroms, part.rows.name)
