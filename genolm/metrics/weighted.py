"""The metrics of this package for many weightings of the rows at once.

A weight is how often a row counts: with every weight 1 a metric here is the one of
:mod:`genolm.metrics.classification` or :mod:`genolm.metrics.regression`, and with whole weights it
is that metric on the rows repeated so often. Where a metric is undefined it is NaN here.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from genolm.metrics.classification import log_odds

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], dict[str, Floats]]
"""Weights (rows, weightings) to metrics by name, each (weightings,)."""


def weighted_classification(labels: NDArray[np.int64], logits: Floats) -> Statistic:
    """Return the metrics of exclusive classes as a function of weights.

    Args:
        labels: Class indices (rows,).
        logits: Scores (rows, classes).
    """
    classes = logits.shape[1]
    predicted = logits.argmax(axis=1)
    said, true = (np.eye(classes)[chosen] for chosen in (predicted, labels))
    judged = [1] if classes == 2 else list(range(classes))
    rankings = [_Ranking(labels == c, log_odds(logits, c)) for c in judged]

    def measure(weights: Floats) -> dict[str, Floats]:
        # Counts (classes, weightings) of labels, predictions and both.
        t, p, tp = (columns.T @ weights for columns in (true, said, true * said))
        return {
            "accuracy": tp.sum(axis=0) / weights.sum(axis=0),
            "mcc": _mcc(t, p, tp.sum(axis=0)),
            **_mean_areas(rankings, weights),
            "f1": _mean(_ratio(2 * tp[judged], (t + p)[judged])),
        }

    return measure


def weighted_counts(counts: NDArray[np.int64]) -> Statistic:
    """Return the metrics of exclusive classes that need no scores, from counts of rows in groups.

    Args:
        counts: Rows by group, label and prediction (groups, classes, classes).

    Returns:
        A function of the weights of the groups (groups, weightings).
    """
    classes = counts.shape[1]
    flat = counts.reshape(len(counts), -1).astype(np.float64)
    judged = [1] if classes == 2 else list(range(classes))

    def measure(weights: Floats) -> dict[str, Floats]:
        drawn = (flat.T @ weights).reshape(classes, classes, -1)
        t, p = drawn.sum(axis=1), drawn.sum(axis=0)
        tp = drawn[range(classes), range(classes)]
        f1 = _ratio(2 * tp, t + p)
        return {
            "accuracy": tp.sum(axis=0) / t.sum(axis=0),
            "mcc": _mcc(t, p, tp.sum(axis=0)),
            "f1": _mean(f1[judged]),
            "f1_macro": _mean(f1),
        }

    return measure


def weighted_multilabel(labels: NDArray[np.int64], logits: Floats) -> Statistic:
    """Return the metrics of independent labels as a function of weights.

    Args:
        labels: 0/1 (rows, labels).
        logits: Scores (rows, labels).
    """
    true, said = (labels == 1).astype(np.float64), (logits > 0).astype(np.float64)
    rankings = [_Ranking(labels[:, i] == 1, logits[:, i]) for i in range(labels.shape[1])]

    def measure(weights: Floats) -> dict[str, Floats]:
        rows = weights.sum(axis=0)
        t, p, tp = (columns.T @ weights for columns in (true, said, true * said))
        right = rows - t - p + 2 * tp
        return {
            "accuracy": right.mean(axis=0) / rows,
            "mcc": _mean(_mcc(np.stack([t, rows - t]), np.stack([p, rows - p]), right)),
            **_mean_areas(rankings, weights),
            "f1": _mean(_ratio(2 * tp, t + p)),
        }

    return measure


def weighted_regression(truth: Floats, predictions: Floats) -> Statistic:
    """Return the metrics of a regression as a function of weights.

    Args:
        truth: Values (rows, outputs).
        predictions: Values (rows, outputs).
    """
    pairs = list(zip(truth.T, predictions.T, strict=True))
    orders = [(_Order(t), _Order(p)) for t, p in pairs]
    squares = (truth - predictions) ** 2

    def measure(weights: Floats) -> dict[str, Floats]:
        rows = weights.sum(axis=0)
        spread = np.stack([_moment(weights, t[:, None], t[:, None]) for t, _ in pairs])
        lost = squares.T @ weights
        ranked = [(first.ranks(weights), second.ranks(weights)) for first, second in orders]
        return {
            "mse": lost.mean(axis=0) / rows,
            "r2": _mean(1 - _ratio(lost, spread)),
            "pearson": _mean(
                np.stack([_pearson(weights, t[:, None], p[:, None]) for t, p in pairs])
            ),
            "spearman": _mean(np.stack([_pearson(weights, t, p) for t, p in ranked])),
        }

    return measure


class _Order:
    """The order of values (rows,), equal ones together.

    Attributes:
        rows: Rows by rising value (rows,).
        starts: Where in ``rows`` a new value begins (values,).
    """

    def __init__(self, values: Floats) -> None:
        self.rows = np.argsort(values, kind="stable")
        rising = values[self.rows]
        self.starts = np.flatnonzero(np.concatenate([[True], rising[1:] != rising[:-1]]))
        self._value_of_row = np.empty(len(values), dtype=np.int64)
        self._value_of_row[self.rows] = (
            np.cumsum(np.bincount(self.starts, minlength=len(values)) > 0) - 1
        )

    def gather(self, weights: Floats) -> Floats:
        """Return the weight of each value (values, weightings), by rising value."""
        sorted_weights = weights[self.rows]
        if len(self.starts) == len(self.rows):
            return sorted_weights
        summed: Floats = np.add.reduceat(sorted_weights, self.starts, axis=0)
        return summed

    def ranks(self, weights: Floats) -> Floats:
        """Return the rank of each row (rows, weightings); equal values share the mean of theirs."""
        counts = self.gather(weights)
        ranks: Floats = np.cumsum(counts, axis=0) - (counts - 1) / 2
        return ranks[self._value_of_row]


class _Ranking:
    """How well scores (rows,) tell positive rows from the rest."""

    def __init__(self, positive: NDArray[np.bool_], scores: Floats) -> None:
        self._order = _Order(scores)
        self._positive = positive.astype(np.float64)[:, None]

    def areas(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return AUROC and average precision, (weightings,) each."""
        positive = self._order.gather(weights * self._positive)
        every = self._order.gather(weights)
        negative = every - positive
        p, n = positive.sum(axis=0), negative.sum(axis=0)
        outranked = (positive * (np.cumsum(negative, axis=0) - negative / 2)).sum(axis=0)
        found, looked = (np.cumsum(part[::-1], axis=0)[::-1] for part in (positive, every))
        precision = found / np.maximum(looked, 1e-300)  # where nothing was looked at, nothing is
        average = (positive * precision).sum(axis=0)
        defined = np.where((p > 0) & (n > 0), 1.0, np.nan)
        return _ratio(outranked, p * n), defined * _ratio(average, p)


def _mean_areas(rankings: Sequence[_Ranking], weights: Floats) -> Mapping[str, Floats]:
    areas = np.array([ranking.areas(weights) for ranking in rankings])
    return {"auroc": _mean(areas[:, 0]), "auprc": _mean(areas[:, 1])}


def _mcc(true: Floats, said: Floats, right: Floats) -> Floats:
    """Matthews' correlation (Gorodkin 2004, R_K) from counts.

    Args:
        true: Labels of each class (classes, ...).
        said: Predictions of each class (classes, ...).
        right: Rows predicted rightly (...).
    """
    rows = true.sum(axis=0)
    of_labels = rows**2 - (true**2).sum(axis=0)
    of_predictions = rows**2 - (said**2).sum(axis=0)
    together = right * rows - (true * said).sum(axis=0)
    correlation = np.nan_to_num(_ratio(together, np.sqrt(of_labels * of_predictions)))
    result: Floats = np.where(of_labels > 0, correlation, np.nan)
    return result


def _moment(weights: Floats, first: Floats, second: Floats) -> Floats:
    """Weighted sum (weightings,) of the product of two deviations; 0 where one is constant.

    Args:
        weights: Of the rows (rows, weightings).
        first: Values (rows, 1) or (rows, weightings).
        second: Likewise.
    """
    rows = weights.sum(axis=0)
    means = [(weights * values).sum(axis=0) / rows for values in (first, second)]
    parts = [values - mean for values, mean in zip((first, second), means, strict=True)]
    moment: Floats = (weights * parts[0] * parts[1]).sum(axis=0)
    # Deviations of a constant are rounding errors of its mean.
    scale = [(weights * values**2).sum(axis=0) for values in (first, second)]
    moment[np.abs(moment) <= 1e-26 * np.sqrt(scale[0] * scale[1])] = 0.0
    return moment


def _pearson(weights: Floats, first: Floats, second: Floats) -> Floats:
    spreads = _moment(weights, first, first) * _moment(weights, second, second)
    return _ratio(_moment(weights, first, second), np.sqrt(spreads))


def _ratio(above: Floats, below: Floats) -> Floats:
    """Divide; NaN where there is nothing to divide by."""
    quotient: Floats = np.divide(above, below, out=np.full_like(below, np.nan), where=below != 0)
    return quotient


def _mean(values: Floats) -> Floats:
    """The mean over the first axis of what is defined; NaN where nothing is."""
    known = np.isfinite(values)
    return _ratio(np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0).astype(np.float64))
