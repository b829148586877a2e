"""Confidence intervals of metrics: how far they would move with another test set of the same kind.

The rows of the test set are drawn again with replacement, many times, and the metric is computed on
each draw (Efron 1979, the percentile bootstrap). A model and its baseline judged on the same rows
are compared by the interval of their difference on the same draws, which is much narrower than
what two separate intervals suggest.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genolm.metrics.baselines import task_metrics
from genolm.metrics.linear import Task
from genolm.metrics.weighted import (
    Floats,
    Statistic,
    weighted_classification,
    weighted_counts,
    weighted_multilabel,
    weighted_regression,
)

Interval = tuple[float, float]
Intervals = dict[str, Interval | None]

WORK: Final = 1 << 20
"""Weights held at once: rows times draws."""

AFFORDABLE: Final = 200_000_000
"""Rows times draws times columns that are ranked in some ten seconds."""


@dataclass(frozen=True)
class Bootstrap:
    """How test rows are drawn again.

    Attributes:
        draws: How many times.
        confidence: Share of the draws that an interval holds.
        seed: Of the draws; sets of as many rows get the same ones.
        stratified: Draw from each label alone, so that every draw has the shares of the test set.
            For exclusive classes.
    """

    draws: int = 1000
    confidence: float = 0.95
    seed: int = 1
    stratified: bool = False

    @classmethod
    def within(cls, rows: int, columns: int, seed: int = 1) -> "Bootstrap | None":
        """Return as many draws as take seconds, 1,000 at most; None when a hundred would not.

        Args:
            rows: Of the test set.
            columns: Classes, labels or outputs, each of which is ranked in every draw.
            seed: Of the draws.
        """
        draws = min(cls.draws, AFFORDABLE // (rows * columns))
        return cls(draws=draws, seed=seed) if draws >= 100 else None

    def __post_init__(self) -> None:
        """Refuse what makes no interval."""
        if self.draws < 1 or not 0 < self.confidence < 1:
            raise ValueError(
                f"draws {self.draws}, confidence {self.confidence}: one draw at least, and a"
                " confidence between 0 and 1"
            )


@dataclass(frozen=True)
class Comparison:
    """Predictors judged on the same draws of the same rows.

    Attributes:
        intervals: Of the metrics of each predictor, by its name.
        above: Of what each metric of the first predictor is above that of each other one. An
            interval above 0 says that the first is better beyond the chance of the test set (not
            beyond that of training with another seed).
    """

    intervals: dict[str, Intervals]
    above: dict[str, Intervals]


def metric_intervals(
    labels: ArrayLike, scores: ArrayLike, *, task: Task, bootstrap: Bootstrap | None = None
) -> Intervals:
    """Return an interval for each metric of a task; see :func:`compare`."""
    return compare(labels, {"": scores}, task=task, bootstrap=bootstrap).intervals[""]


def compare(
    labels: ArrayLike,
    scores: Mapping[str, ArrayLike],
    *,
    task: Task,
    bootstrap: Bootstrap | None = None,
) -> Comparison:
    """Return the intervals of one or more predictors, and of what the first is above the others.

    Args:
        labels: Class indices (rows,), 0/1 (rows, labels) or values (rows,) or (rows, outputs).
        scores: Of each predictor: logits (rows, classes) or (rows, labels), or values as the
            labels.
        task: What the labels are.
        bootstrap: How rows are drawn; None for 1,000 draws and 95 %.

    Returns:
        For each metric of :func:`~genolm.metrics.baselines.task_metrics` its (low, high), over the
        draws on which it is defined; None when it is undefined on the set or on half of the draws.

    Raises:
        ValueError: When labels and scores do not fit; see ``task_metrics``.
    """
    how = bootstrap or Bootstrap()
    truth = np.asarray(labels)
    if how.stratified and (task != "classification"):
        raise ValueError(f"stratified draws need exclusive classes, not task {task!r}")
    figures = {name: task_metrics(truth, given, task=task) for name, given in scores.items()}
    statistics = {name: _statistic(truth, given, task) for name, given in scores.items()}
    drawn = _collect(statistics, _draws(truth, how))
    for name, values in drawn.items():
        undefined = [metric for metric, figure in figures[name].items() if figure is None]
        values.update({metric: np.full(how.draws, np.nan) for metric in undefined})
    return _compare(drawn, how)


def compare_counts(
    counts: Mapping[str, NDArray[np.int64]], *, bootstrap: Bootstrap | None = None
) -> Comparison:
    """Return the same of classes that rows have in groups, whole groups being drawn.

    The bases of one sequence say much the same; drawing them one by one would give intervals that
    are far too narrow.

    Args:
        counts: Of each predictor: rows by group, label and prediction (groups, classes, classes).
        bootstrap: How groups are drawn; None for 1,000 draws and 95 %.

    Returns:
        Intervals of ``accuracy mcc f1 f1_macro``.
    """
    how = bootstrap or Bootstrap()
    statistics = {name: weighted_counts(found) for name, found in counts.items()}
    groups = np.zeros(len(next(iter(counts.values()))))
    return _compare(_collect(statistics, _draws(groups, how)), how)


def _compare(drawn: Mapping[str, dict[str, Floats]], how: Bootstrap) -> Comparison:
    first, *others = drawn
    return Comparison(
        {name: _intervals(values, how) for name, values in drawn.items()},
        {
            name: _intervals({m: drawn[first][m] - drawn[name][m] for m in drawn[first]}, how)
            for name in others
        },
    )


def _statistic(labels: ArrayLike, scores: ArrayLike, task: Task) -> Statistic:
    truth, said = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if task == "regression":
        rows = len(truth)
        values = truth.astype(np.float64).reshape(rows, -1)
        return weighted_regression(values, said.reshape(rows, -1))
    kind = weighted_multilabel if task == "multilabel" else weighted_classification
    return kind(truth.astype(np.int64), said)


def _draws(labels: NDArray[np.generic], how: Bootstrap) -> Iterator[Floats]:
    """Yield how often each row was drawn (rows, draws), some draws at a time."""
    rows = len(labels)
    generator = np.random.default_rng(how.seed)
    strata = [np.arange(rows)]
    if how.stratified:
        strata = [np.flatnonzero(labels == value) for value in np.unique(labels)]
    at_once = max(1, WORK // rows)
    for first in range(0, how.draws, at_once):
        draws = min(at_once, how.draws - first)
        weights = np.zeros((rows, draws))
        for members in strata:
            chosen = generator.integers(0, len(members), (draws, len(members)))
            cells = members[chosen] * draws + np.arange(draws)[:, None]
            weights += np.bincount(cells.ravel(), minlength=rows * draws).reshape(rows, draws)
        yield weights


def _collect(
    statistics: Mapping[str, Statistic], draws: Iterator[Floats]
) -> dict[str, dict[str, Floats]]:
    """Return the metrics (draws,) of every predictor on the same draws."""
    parts = [{name: of(weights) for name, of in statistics.items()} for weights in draws]
    return {
        name: {metric: np.concatenate([part[name][metric] for part in parts]) for metric in first}
        for name, first in parts[0].items()
    }


def _intervals(drawn: Mapping[str, Floats], how: Bootstrap) -> Intervals:
    return {metric: _percentiles(values, how.confidence) for metric, values in drawn.items()}


def _percentiles(values: Floats, confidence: float) -> Interval | None:
    defined = values[np.isfinite(values)]
    if 2 * len(defined) <= len(values):
        return None
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
