"""Classifiers that see less of a sequence than a model should: its length, its composition.

Where one of them does well, a benchmark can be solved without reading a motif.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genolm.metrics.baselines import length_baseline


def length_accuracy(
    train: Sequence[str], labels: Sequence[int], test: Sequence[str], expected: Sequence[int]
) -> float:
    """Accuracy on the test part of a decision tree that sees how long a sequence is.

    Args:
        train: DNA (n,).
        labels: Class indices (n,).
        test: DNA (m,).
        expected: Class indices (m,).
    """
    found = length_baseline(train, list(labels), test, list(expected), task="classification")
    accuracy = found["accuracy"]
    assert isinstance(accuracy, float)
    return accuracy


def composition_accuracy(
    train: Sequence[str], labels: Sequence[int], test: Sequence[str], expected: Sequence[int]
) -> float:
    """The same of a logistic regression that sees the shares of A, C, G, T and anything else."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    learner: Any = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    learner.fit(_shares(train), list(labels))
    return float(learner.score(_shares(test), list(expected)))


def _shares(sequences: Sequence[str]) -> NDArray[np.float64]:
    """The share of A, C, G, T and of the rest in each sequence (n, 5)."""
    counts = [[one.upper().count(base) for base in "ACGT"] for one in sequences]
    known = np.array(counts, dtype=np.float64).reshape(-1, 4)
    sizes = np.array([len(one) for one in sequences], dtype=np.float64)[:, None]
    shares: NDArray[np.float64] = np.concatenate((known, sizes - known.sum(1, keepdims=True)), 1)
    return shares / np.maximum(sizes, 1)


SHORTCUTS: Final[dict[str, Callable[..., float]]] = {
    "length": length_accuracy,
    "composition": composition_accuracy,
}
