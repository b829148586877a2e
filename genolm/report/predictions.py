"""What a classifier got right and wrong, from its test_predictions.tsv."""

import csv
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genolm.report.chart import Line, draw_lines
from genolm.report.page import note, table

MOST_CLASSES: Final = 20
MOST_ROWS: Final = 100
"""Classes that are listed one by one."""

PROBABILITY: Final = "p_"
SEPARATOR: Final = ";"
"""Stands between the labels of one row."""


@dataclass(frozen=True)
class Predictions:
    """The rows of a test part.

    Attributes:
        rows: Cells by column: label, predicted and ``p_<class>``.
        classes: Names; none for a regression.
    """

    rows: list[dict[str, str]]
    classes: list[str]

    @cached_property
    def exclusive(self) -> bool:
        """Whether every row has one label."""
        return bool(self.classes) and all(
            row["label"] in self.classes and row["predicted"] in self.classes for row in self.rows
        )

    def truth(self, name: str, column: str = "label") -> NDArray[np.bool_]:
        """Return which rows have a class as their label, or as what was predicted (rows,)."""
        if self.exclusive:
            return np.array([row[column] == name for row in self.rows])
        return np.array([name in row[column].split(SEPARATOR) for row in self.rows])

    def scores(self, name: str) -> NDArray[np.float64]:
        """Return the probability of a class in each row (rows,)."""
        return np.array([float(row[PROBABILITY + name]) for row in self.rows])


def read_predictions(file: Path) -> Predictions:
    """Read the predictions of a run.

    Args:
        file: ``test_predictions.tsv``.
    """
    with file.open(encoding="utf-8", newline="") as opened:
        # As it was written: a quotation mark is a letter of a name.
        rows = list(csv.DictReader(opened, delimiter="\t", quoting=csv.QUOTE_NONE))
    names = rows[0] if rows else {}
    classes = [name.removeprefix(PROBABILITY) for name in names if name.startswith(PROBABILITY)]
    return Predictions(rows, classes)


def show_predictions(file: Path) -> list[str]:
    """Return everything that is shown of a test part, as HTML.

    Classifiers: the confusion matrix (of exclusive classes), a table of the classes and their ROC
    and precision-recall curves. Regressions: what was predicted against what is.
    """
    found = read_predictions(file)
    shown = [confusion_table(found), class_table(found)]
    if roc := roc_lines(found):
        shown.append(draw_lines(roc, "false positive rate", "true positive rate", whole=True))
    if precision := precision_lines(found):
        shown.append(draw_lines(precision, "recall", "precision", whole=True))
    if dots := value_dots(found):
        shown.append(draw_lines(dots, "label", "predicted"))
    return [part for part in shown if part]


def confusion_table(found: Predictions) -> str:
    """Return the confusion matrix as a table; empty for regressions and several labels a row."""
    classes = found.classes
    if len(classes) > MOST_CLASSES or not found.exclusive:
        return ""
    counts = Counter((row["label"], row["predicted"]) for row in found.rows)
    cells = [[label, *(counts[label, said] for said in classes)] for label in classes]
    return table(("label \\ predicted", *classes), cells)


def class_table(found: Predictions) -> str:
    """Return a table with one row a class: how many rows it has, and how well it is told."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    shown = []
    for name in found.classes[:MOST_ROWS]:
        truth, said, scores = found.truth(name), found.truth(name, "predicted"), found.scores(name)
        right, ranked = int((truth & said).sum()), truth.any() and not truth.all()
        shown.append(
            [
                name,
                int(truth.sum()),
                right / said.sum() if said.any() else None,
                right / truth.sum() if truth.any() else None,
                2 * right / (said.sum() + truth.sum()) if said.any() or truth.any() else None,
                float(roc_auc_score(truth, scores)) if ranked else None,
                float(average_precision_score(truth, scores)) if ranked else None,
            ]
        )
    if not shown:
        return ""
    more = len(found.classes) - len(shown)
    columns = ("class", "rows", "precision", "recall", "F1", "AUROC", "AUPRC")
    return table(columns, shown) + (note(f"and {more:,} more classes") if more else "")


def roc_lines(found: Predictions) -> list[Line]:
    """Return the ROC curve of every class against the rest (of one where there are two).

    Classes that the test part lacks, or that are all it has, have none.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    lines = _lines(found, "AUROC", roc_auc_score, lambda *given: roc_curve(*given)[:2])
    return [*lines, Line("chance", [(0, 0), (1, 1)], dashed=True)] if lines else []


def precision_lines(found: Predictions) -> list[Line]:
    """Return the precision-recall curve of every class, as :func:`roc_lines`.

    Beside the one curve of two classes stands chance: the share of the class.
    """
    from sklearn.metrics import average_precision_score, precision_recall_curve

    lines = _lines(
        found,
        "AUPRC",
        average_precision_score,
        lambda *given: [axis[::-1] for axis in precision_recall_curve(*given)[1::-1]],
    )
    if len(lines) != 1:
        return lines
    share = float(found.truth(_drawn(found)[0]).mean())
    return [*lines, Line("chance", [(0, share), (1, share)], dashed=True)]


def value_dots(found: Predictions) -> list[Line]:
    """Return label and prediction of every row of a regression of one value."""
    if found.classes or not found.rows or any(SEPARATOR in row["label"] for row in found.rows):
        return []
    points = sorted((float(row["label"]), float(row["predicted"])) for row in found.rows)
    ends = [(x, x) for x in (points[0][0], points[-1][0])]
    return [Line("rows", points, dots=True), Line("predicted = label", ends, dashed=True)]


def _drawn(found: Predictions) -> list[str]:
    """Classes with curves: where there are two exclusive ones, the second says it all."""
    two = len(found.classes) == 2 and found.exclusive
    return found.classes[1:] if two else found.classes


def _lines(
    found: Predictions, word: str, area: Callable[..., Any], curve: Callable[..., Any]
) -> list[Line]:
    """Return a line for each drawn class; ``curve`` gives x and y of (truth, scores)."""
    if len(found.classes) > MOST_CLASSES:
        return []
    lines: list[Line] = []
    for name in _drawn(found):
        truth, scores = found.truth(name), found.scores(name)
        if truth.all() or not truth.any():
            continue
        xs, ys = curve(truth, scores)
        points = list(zip(xs.tolist(), ys.tolist(), strict=True))
        lines.append(Line(f"{name} ({word} {area(truth, scores):.4f})", points))
    return lines
