"""The train, validation and test parts of a labelled set, and their examples in order."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genolm.data.holdout import split_holdout
from genolm.data.labelled import read_labelled
from genolm.data.labelled_dataset import LabelledDataset
from genolm.data.labelled_set import LabelledSet, count_shared
from genolm.data.labels import LabelSpace
from genolm.data.labels import Task as Label
from genolm.errors import InputError, UsageError
from genolm.genome.sequence import reverse_complement
from genolm.metrics.baselines import kmer_scores, length_scores, majority_rate
from genolm.training.recipe_finetune import LabelledSection, Task


@dataclass(frozen=True)
class LabelledPart:
    """Rows and their labels as numbers.

    Attributes:
        rows: Sequences and labels as text.
        targets: Labels (rows,) or, for multilabel, (rows, classes).
    """

    rows: LabelledSet
    targets: NDArray[Any]

    def examples(
        self, length: int, *, conjoin: bool = False, reverse: bool = False
    ) -> LabelledDataset:
        """Return the rows in order; see :class:`genolm.training.parts.Part`."""
        sequences = self.rows.sequences
        if reverse:
            sequences = [reverse_complement(sequence) for sequence in sequences]
        return LabelledDataset(sequences, self.targets, length=length, conjoin=conjoin)

    def name_columns(self) -> Sequence[str]:
        """Return the one column that says which row is meant."""
        return ["row"]

    def name(self, row: int) -> Sequence[str]:
        """Return the number of a row, from 0."""
        return [str(row)]


@dataclass(frozen=True)
class LabelledParts:
    """A labelled set, split.

    Attributes:
        space: What labels can be.
        train: Learned from.
        valid: Decides which epoch is kept.
        test: Judged once.
        learned: Train, with what was held out of it: what a baseline may learn from.
    """

    space: LabelSpace
    train: LabelledPart
    valid: LabelledPart
    test: LabelledPart
    learned: LabelledPart

    def digests(self) -> dict[str, str]:
        """Return a digest of each part's sequences and labels."""
        parts = {"train": self.train, "valid": self.valid, "test": self.test}
        return {name: _digest(part.rows) for name, part in parts.items()}

    @property
    def inputs(self) -> int:
        """Sequences that the model reads for an example."""
        return 1

    @cached_property
    def duplicates(self) -> dict[str, int]:
        """Test sequences that are also in train, as they are and on the other strand."""
        return count_duplicates(self.learned.rows, self.test.rows)

    def facts(self) -> dict[str, Any]:
        """Return what metrics.json says of the set."""
        return {"duplicates": self.duplicates}

    def warnings(self, length: int) -> Iterator[str]:
        """Yield what of the test part is also in train, and what of it is cut."""
        yield from warn_of_duplicates(self.duplicates, len(self.test.rows))
        long = sum(len(sequence) > length for sequence in self.test.rows.sequences)
        if long:
            yield f"{long:,} test sequences lose what is beyond {length:,} bases"

    def describe(self, length: int) -> str:
        """Say what is trained on."""
        return f"sequences of {length:,} bases"

    def baseline_scores(self, task: Label, seed: int) -> dict[str, NDArray[np.float64]]:
        """Return the scores of k-mers, and of the length alone, on the test rows."""
        known, asked = self.learned, self.test
        sets = (known.rows.sequences, known.targets, asked.rows.sequences, asked.targets)
        kmers = kmer_scores(*sets, task=task, seed=seed)
        name = "kmer_ridge" if task == "regression" else "kmer_logistic"
        return {name: kmers, "length_only": length_scores(*sets, task=task)}

    def strata_figures(
        self, scores: Mapping[str, NDArray[np.float64]], task: Label
    ) -> dict[str, dict[str, dict[str, dict[str, float | None]]]]:
        """Return nothing: sequences have no strata."""
        return {}

    def constant_figures(self, task: Label) -> dict[str, dict[str, float | None]]:
        """Return the accuracy of the majority; nothing for a regression."""
        if task == "regression":
            return {}
        rate = majority_rate(self.learned.targets, self.test.targets)
        return {"majority": {"accuracy": rate}}


def count_duplicates(learned: LabelledSet, test: LabelledSet) -> dict[str, int]:
    """Count the test sequences that are also in train, as they are and on the other strand."""
    known, asked = learned.sequences, test.sequences
    return {
        "test_in_train": count_shared(known, asked),
        "test_in_train_reverse_complement": count_shared(
            known, [reverse_complement(sequence) for sequence in asked]
        ),
    }


def warn_of_duplicates(duplicates: Mapping[str, int], rows: int) -> Iterator[str]:
    """Yield how many of the test rows are also in train, if any are."""
    for name, count in duplicates.items():
        if count:
            where = " on the other strand" if "reverse" in name else ""
            yield (
                f"{count:,} of {rows:,} test sequences are also in train"
                f"{where}: the test figures may flatter the model"
            )


def read_parts(data: LabelledSection, task: Task, seed: int) -> LabelledParts:
    """Read a labelled set and hold a part of train out when no validation part is given.

    Args:
        data: The recipe's section.
        task: What the labels are.
        seed: Of the held-out part; classes keep their shares in it.

    Raises:
        UsageError: When a file, a part or the held-out share is missing.
        InputError: When a file is not what it should be, or a label is not one of train's.
    """
    require_test(data)
    read = {
        "train": _read(data, "train"),
        "test": _read(data, "test"),
        "valid": None if data.valid is None else _read(data, "valid"),
    }
    whole, test, valid = read["train"], read["test"], read["valid"]
    assert whole is not None
    assert test is not None
    space = LabelSpace.learn(whole, task)
    learned = LabelledPart(whole, space.encode(whole))
    train = learned
    if valid is not None:
        held = LabelledPart(valid, space.encode(valid))
    else:
        train, held = _hold_out(learned, task, data.valid_fraction, seed)
    return LabelledParts(space, train, held, LabelledPart(test, space.encode(test)), learned)


def _read(data: LabelledSection, part: str) -> LabelledSet:
    path = getattr(data, part) or data.train
    label = data.label if isinstance(data.label, str) else list(data.label)
    split = part if path.is_dir() else None
    rows = read_labelled(path, sequence=data.sequence, label=label, split=split)
    if not len(rows):
        raise InputError(f"{path}: no sequence for the {part} part")
    return rows


def _hold_out(
    learned: LabelledPart, task: Task, fraction: float, seed: int
) -> tuple[LabelledPart, LabelledPart]:
    # Each row of many labels may well be the only one of its kind.
    classes = learned.rows.labels if task == "classification" else None
    divided = hold_out_rows(len(learned.rows), fraction, seed, classes=classes)
    parts = (LabelledPart(learned.rows.take(at), learned.targets[at]) for at in divided)
    return next(parts), next(parts)


def require_test(data: LabelledSection) -> None:
    """Refuse a file of train rows without a test part."""
    if data.test is None and not data.train.is_dir():
        raise UsageError("data.test is required: data.train is a file and has no test part")


def hold_out_rows(
    count: int, fraction: float, seed: int, *, classes: Sequence[str] | None = None
) -> tuple[list[int], list[int]]:
    """Return the rows of train that stay and those held out, some of each.

    Args:
        count: Rows.
        fraction: Share to hold out, ``data.valid_fraction``.
        seed: Of the choice.
        classes: The class of each row, for the same share of each; None for any rows.

    Raises:
        UsageError: Nothing is left on one side.
    """
    stay, held = split_holdout(count, fraction, seed, classes=classes)
    if not stay or not held:
        raise UsageError(
            f"data.valid_fraction: {fraction} of {count} rows leaves "
            f"{'nothing to train on' if not stay else 'nothing to choose an epoch by'}"
        )
    return stay, held


def _digest(rows: LabelledSet) -> str:
    digest = hashlib.sha256()
    for sequence, label in zip(rows.sequences, rows.labels, strict=True):
        digest.update(f"{sequence}\t{label}\n".encode())
    return digest.hexdigest()
