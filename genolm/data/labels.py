"""Labels as text to the numbers a loss needs."""

import math
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from genolm.data.labelled_set import SEPARATOR
from genolm.errors import InputError

Task = Literal["classification", "multilabel", "regression"]


class LabelledRows(Protocol):
    """Rows with labels as text: sequences or variants."""

    @property
    def name(self) -> str:
        """The file or folder."""

    @property
    def labels(self) -> list[str]:
        """The label of each row."""

    @property
    def label_names(self) -> tuple[str, ...]:
        """The columns, when labels are columns of 0 and 1."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def place(self, index: int) -> str:
        """Return ``file:line`` of a row, for messages."""


def _split(label: str) -> list[str]:
    return [part.strip() for part in label.split(SEPARATOR) if part.strip()]


def sorted_names(names: set[str]) -> tuple[str, ...]:
    """Return class names in the order of their ids: by number when all are, else by letter."""
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


@dataclass(frozen=True, slots=True)
class LabelSpace:
    """What the labels of a task can be; learned from the train part.

    Attributes:
        task: What is predicted.
        names: Class names in the order of their ids; none for regression.
    """

    task: Task
    names: tuple[str, ...]

    @classmethod
    def learn(cls, train: LabelledRows, task: Task) -> Self:
        """Find the classes of a train part.

        Raises:
            InputError: An empty label, or a single class.
        """
        if task == "regression":
            return cls(task, ())
        if train.label_names and task == "multilabel":
            return cls(task, train.label_names)
        if task == "multilabel":
            names = sorted_names({part for label in train.labels for part in _split(label)})
            least = 1
        else:
            names = sorted_names({_named(train, i) for i in range(len(train))})
            least = 2
        if len(names) < least:
            found = f"only one class, {names[0]!r}" if names else "no label"
            raise InputError(f"{train.name}: {found}; {task} needs at least {least}")
        return cls(task, names)

    def encode(self, rows: LabelledRows) -> NDArray[Any]:
        """Turn labels into numbers.

        Returns:
            Class ids (rows,) int64, or for multilabel 0 and 1 (rows, classes) float32, or for
            regression values (rows,) float32.

        Raises:
            InputError: A label that is empty, that the train part does not have, or that is not a
                number; the message names file and line.
        """
        if self.task == "regression":
            values = [_number(rows, i) for i in range(len(rows))]
            return np.array(values, dtype=np.float32)
        ids = {name: i for i, name in enumerate(self.names)}
        if self.task == "classification":
            found = [self._id(rows, i, _named(rows, i), ids) for i in range(len(rows))]
            return np.array(found, dtype=np.int64)
        table = np.zeros((len(rows), len(self.names)), dtype=np.float32)
        for row, label in enumerate(rows.labels):
            for part in _split(label):
                table[row, self._id(rows, row, part, ids)] = 1.0
        return table

    def _id(self, rows: LabelledRows, row: int, name: str, ids: dict[str, int]) -> int:
        if name not in ids:
            known = ", ".join(self.names[:10]) + (", ..." if len(self.names) > 10 else "")
            raise InputError(
                f"{rows.place(row)}: label {name!r} is not in the train part, which has {known}"
            )
        return ids[name]


def _named(rows: LabelledRows, row: int) -> str:
    label = rows.labels[row]
    if not label:
        raise InputError(f"{rows.place(row)}: empty label")
    return label


def _number(rows: LabelledRows, row: int) -> float:
    label = _named(rows, row)
    try:
        value = float(label)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(
            f"{rows.place(row)}: label {label!r} is not a number; regression needs one"
        )
    return value
