"""How well the class of every base is told: counts of labels and predictions, by sequence."""

import numpy as np
from numpy.typing import NDArray

from genolm.metrics.classification import Metrics

Counts = NDArray[np.int64]


def count_by_sequence(
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    bounds: NDArray[np.int64],
    classes: int,
) -> Counts:
    """Count the bases of each sequence by their label and what was predicted.

    Args:
        labels: Class id of every base, sequence after sequence (bases,).
        predicted: Likewise.
        bounds: Where each sequence begins, and the end (sequences + 1,).
        classes: How many there are.

    Returns:
        Counts (sequences, classes, classes), by label and then by prediction.
    """
    sequences = len(bounds) - 1
    owner = np.repeat(np.arange(sequences), np.diff(bounds))
    cells = (owner * classes + labels) * classes + predicted
    found = np.bincount(cells, minlength=sequences * classes * classes)
    return found.reshape(sequences, classes, classes).astype(np.int64)


def class_figures(counts: Counts, names: tuple[str, ...]) -> dict[str, Metrics]:
    """Return precision, recall, F1 and the number of bases of every class.

    Args:
        counts: Bases by label and prediction (classes, classes).
        names: Of the classes.

    Returns:
        By name; a figure is None where nothing has, or was predicted to have, the class.
    """
    right, true, said = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    return {
        name: {
            "precision": _ratio(right[i], said[i]),
            "recall": _ratio(right[i], true[i]),
            "f1": _ratio(2 * right[i], true[i] + said[i]),
            "n": int(true[i]),
        }
        for i, name in enumerate(names)
    }


def macro_f1(counts: Counts) -> float | None:
    """Return the mean F1 of the classes that some base has or was predicted to have."""
    names = tuple(str(i) for i in range(len(counts)))
    known = [f1 for one in class_figures(counts, names).values() if (f1 := one["f1"]) is not None]
    return float(np.mean(known)) if known else None


def _ratio(above: np.int64, below: np.int64) -> float | None:
    return float(above / below) if below else None
