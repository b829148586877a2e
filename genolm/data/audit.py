"""What is wrong with a labelled set: copies, contradictions, rare classes, and shortcuts.

Shortcuts, classifiers that see less than the bases in their order, are functions that are handed
in: (train sequences, train labels, test sequences, test labels) to an accuracy.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from genolm.data.holdout import split_holdout
from genolm.data.labelled_set import LabelledSet, count_shared
from genolm.data.similar import find_similar
from genolm.genome.sequence import reverse_complement

RARE: Final = 0.1
"""A class with a smaller share of what it would have if all were alike is rare."""
SHORTCUT: Final = 0.1
"""Accuracy above the majority's that a shortcut must not reach."""
HELD_OUT: Final = 0.2
SEED: Final = 1

Shortcut = Callable[[Sequence[str], Sequence[int], Sequence[str], Sequence[int]], float]


@dataclass(frozen=True)
class Audit:
    """What an audit found; counts are of sequences.

    Attributes:
        train: Rows of the train part.
        test: Rows of the test part; 0 where there is none.
        classes: Rows of the train part by class; empty where labels are values.
        lengths: Shortest and longest sequence, over both parts.
        train_copies: Train rows whose sequence stands in an earlier row, with the same label.
        train_conflicts: Train sequences that stand there with more than one label.
        conflicting_places: The first places of some of those, as ``file:line``.
        test_copies: Test rows whose sequence is also in train.
        test_conflicts: Those of them whose label in train is another one.
        test_reverse_copies: Test rows whose reverse complement is in train, but not themselves.
        test_similar: Test rows like none of these that share most of their k-mers with a train row.
        majority: Accuracy of the best constant answer.
        shortcuts: Accuracy of each shortcut, on the test part or on a held-out fifth of train.
    """

    train: int
    test: int
    classes: dict[str, int]
    lengths: tuple[int, int]
    train_copies: int
    train_conflicts: int
    conflicting_places: list[str] = field(default_factory=list)
    test_copies: int = 0
    test_conflicts: int = 0
    test_reverse_copies: int = 0
    test_similar: int = 0
    majority: float | None = None
    shortcuts: dict[str, float] = field(default_factory=dict)

    def warnings(self) -> list[str]:
        """Return what should be known before a result on this set is believed."""
        return [text for text in (*self._copies(), *self._labels(), *self._shortcuts()) if text]

    def _copies(self) -> list[str]:
        one = f"of {self.test:,} test sequences"
        return [
            f"{self.test_copies:,} {one} are copies of train sequences" * (self.test_copies > 0),
            f"{self.test_conflicts:,} {one} are in train with another label"
            * (self.test_conflicts > 0),
            f"{self.test_reverse_copies:,} {one} are reverse complements of train sequences"
            * (self.test_reverse_copies > 0),
            f"{self.test_similar:,} {one} share 80 % of their 16-mers with a train sequence"
            * (self.test_similar > 0),
            f"{self.train_copies:,} of {self.train:,} train rows repeat an earlier one"
            * (self.train_copies > 0),
        ]

    def _labels(self) -> list[str]:
        usual = self.train / max(1, len(self.classes))
        rare = [f"{name} ({n:,})" for name, n in self.classes.items() if n < RARE * usual]
        places = ", ".join(self.conflicting_places)
        return [
            f"{self.train_conflicts:,} train sequences stand there with several labels ({places})"
            * (self.train_conflicts > 0),
            f"rare classes: {', '.join(rare)}" * (len(rare) > 0),
        ]

    def _shortcuts(self) -> list[str]:
        if self.majority is None:
            return []
        return [
            f"{name} alone gives accuracy {accuracy:.3f} where the majority gives"
            f" {self.majority:.3f}: a model may score without reading a motif"
            for name, accuracy in self.shortcuts.items()
            if accuracy > self.majority + SHORTCUT
        ]

    def values(self) -> dict[str, Any]:
        """Return everything by name, for JSON."""
        return {**asdict(self), "warnings": self.warnings()}


def are_values(labels: Sequence[str]) -> bool:
    """Tell whether labels are values, not classes: all are numbers, and some are not whole."""
    try:
        values = [float(label) for label in labels]
    except ValueError:
        return False
    return not all(value.is_integer() for value in values)


def audit(train: LabelledSet, test: LabelledSet | None, shortcuts: Mapping[str, Shortcut]) -> Audit:
    """Look for what would make a result on a labelled set mean less than it seems to.

    Args:
        train: Sequences with one label each.
        test: Likewise; None leaves out what compares the two, and tries shortcuts on a held-out
            fifth of train.
        shortcuts: By what they see ("length", "composition"); of classes only.
    """
    values = are_values(train.labels)
    labels_of: dict[str, set[str]] = defaultdict(set)
    first: dict[str, int] = {}
    for row, (sequence, label) in enumerate(zip(train.sequences, train.labels, strict=True)):
        labels_of[sequence.upper()].add(label)
        first.setdefault(sequence.upper(), row)
    conflicts = [sequence for sequence, labels in labels_of.items() if len(labels) > 1]
    distinct = sum(len(labels) for labels in labels_of.values())
    sizes = [len(one) for part in (train, test) if part for one in part.sequences]
    majority, found = (None, {}) if values else _try_shortcuts(train, test, shortcuts)
    return Audit(
        train=len(train),
        test=0 if test is None else len(test),
        classes={} if values else dict(sorted(Counter(train.labels).items())),
        lengths=(min(sizes), max(sizes)),
        train_copies=len(train) - distinct,
        train_conflicts=len(conflicts),
        conflicting_places=[train.place(first[sequence]) for sequence in conflicts[:3]],
        majority=majority,
        shortcuts=found,
        **({} if test is None else _compare(train, test, labels_of)),
    )


def _compare(
    train: LabelledSet, test: LabelledSet, labels_of: Mapping[str, set[str]]
) -> dict[str, int]:
    rows = list(zip(test.sequences, test.labels, strict=True))
    rest = [one.upper() for one, _ in rows if one.upper() not in labels_of]
    other_strand = [one for one in rest if reverse_complement(one) in labels_of]
    unlike = [one for one in rest if reverse_complement(one) not in labels_of]
    return {
        "test_copies": count_shared(train.sequences, test.sequences),
        "test_conflicts": sum(
            one.upper() in labels_of and label not in labels_of[one.upper()] for one, label in rows
        ),
        "test_reverse_copies": len(other_strand),
        "test_similar": int((find_similar(train.sequences, unlike) >= 0).sum()),
    }


def _try_shortcuts(
    train: LabelledSet, test: LabelledSet | None, shortcuts: Mapping[str, Shortcut]
) -> tuple[float | None, dict[str, float]]:
    if len(set(train.labels)) < 2:
        return None, {}
    if test is None:
        stay, held = split_holdout(len(train), HELD_OUT, SEED, classes=train.labels)
        train, test = train.take(stay), train.take(held)
    if not len(test):
        return None, {}
    ids = {name: number for number, name in enumerate(sorted({*train.labels, *test.labels}))}
    learned, asked = ([ids[label] for label in part.labels] for part in (train, test))
    majority = max(Counter(asked).values()) / len(asked)
    return majority, {
        name: shortcut(train.sequences, learned, test.sequences, asked)
        for name, shortcut in shortcuts.items()
    }
