"""Metrics of regressors, computed once on a whole set."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genolm.metrics.classification import Metrics


def regression_metrics(labels: ArrayLike, predictions: ArrayLike) -> Metrics:
    """Mean squared error, R2, Pearson and Spearman correlation of a whole set.

    Several outputs are judged one by one and averaged. What a constant column leaves undefined
    (R2 of constant labels, a correlation with a constant) is left out; None when nothing is left.

    Args:
        labels: Values (n,) or (n, outputs).
        predictions: Values of the same shape, or (n, 1) for labels (n,).

    Returns:
        ``mse`` (label units squared), ``r2``, ``pearson``, ``spearman``; None where undefined.

    Raises:
        ValueError: When shapes do not fit, nothing is there or a value is not finite.
    """
    truth, said = _columns(labels), _columns(predictions)
    if truth.shape != said.shape or truth.size == 0:
        raise ValueError(f"labels {truth.shape} and predictions {said.shape} must fit, not empty")
    if not (np.isfinite(truth).all() and np.isfinite(said).all()):
        raise ValueError("labels or predictions hold NaN or infinity")
    pairs = list(zip(truth.T, said.T, strict=True))
    return {
        "mse": float(((truth - said) ** 2).mean()),
        "r2": _mean([_r2(t, p) for t, p in pairs]),
        "pearson": _mean([_pearson(t, p) for t, p in pairs]),
        "spearman": _mean([_pearson(_ranks(t), _ranks(p)) for t, p in pairs]),
    }


def _columns(values: ArrayLike) -> NDArray[np.float64]:
    """Values as float64 (n, outputs)."""
    given = np.asarray(values, dtype=np.float64)
    return given[:, None] if given.ndim == 1 else given


def _constant(values: NDArray[np.float64]) -> bool:
    return bool((values == values[0]).all())


def _r2(truth: NDArray[np.float64], said: NDArray[np.float64]) -> float | None:
    """1 - residual / total sum of squares: 0 for the mean, below 0 for worse."""
    if _constant(truth):
        return None
    return float(1 - ((truth - said) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())


def _pearson(truth: NDArray[np.float64], said: NDArray[np.float64]) -> float | None:
    if _constant(truth) or _constant(said):
        return None
    return float(np.corrcoef(truth, said)[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks (n,) from 1; equal values share the mean of their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean_rank: NDArray[np.float64] = last - (counts - 1) / 2
    return mean_rank[place]


def _mean(values: list[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
