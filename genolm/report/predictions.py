"""What a classifier got wrong, from its test_predictions.tsv."""

import csv
from collections import Counter
from pathlib import Path
from typing import Final

import numpy as np

from genolm.report.chart import Line
from genolm.report.page import table

MOST_CLASSES: Final = 20
PROBABILITY: Final = "p_"


def _read(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened, delimiter="\t"))


def _classes(rows: list[dict[str, str]]) -> list[str]:
    names = rows[0] if rows else {}
    return [name.removeprefix(PROBABILITY) for name in names if name.startswith(PROBABILITY)]


def confusion_table(file: Path) -> str:
    """Return the confusion matrix as a table; empty for regressions and several labels a row.

    Args:
        file: With the columns label, predicted and ``p_<class>``.
    """
    rows = _read(file)
    classes = _classes(rows)
    single = all(row["label"] in classes and row["predicted"] in classes for row in rows)
    if not classes or len(classes) > MOST_CLASSES or not single:
        return ""
    counts = Counter((row["label"], row["predicted"]) for row in rows)
    cells = [[label, *(counts[label, said] for said in classes)] for label in classes]
    return table(("label \\ predicted", *classes), cells)


def roc_lines(file: Path) -> list[Line]:
    """Return the ROC curve of every class against the rest (of one where there are two).

    Classes that the test part lacks, or that are all it has, have none.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    rows = _read(file)
    classes = _classes(rows)
    if len(classes) > MOST_CLASSES:
        return []
    lines: list[Line] = []
    for name in classes[1:] if len(classes) == 2 else classes:
        truth = np.array([name in row["label"].split(";") for row in rows])
        scores = np.array([float(row[PROBABILITY + name]) for row in rows])
        if truth.all() or not truth.any():
            continue
        wrong, right, _ = roc_curve(truth, scores)
        area = roc_auc_score(truth, scores)
        points = list(zip(wrong.tolist(), right.tolist(), strict=True))
        lines.append(Line(f"{name} (AUROC {area:.4f})", points))
    return [*lines, Line("chance", [(0, 0), (1, 1)], dashed=True)] if lines else []
