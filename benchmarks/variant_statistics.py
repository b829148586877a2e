"""AUROC and rank correlation with bootstrap intervals over groups of rows."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

REPEATS = 1_000
SEED = 1
LEVEL = (2.5, 97.5)

Values = NDArray[np.float64]
Statistic = Callable[[Values], float]  # of a weight per row: how often it was drawn


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % percentile interval."""

    value: float
    low: float
    high: float

    def excludes(self, chance: float) -> bool:
        """Whether chance lies outside of the interval."""
        return not self.low <= chance <= self.high


def bootstrap(
    statistic: Statistic, groups: NDArray[np.int64], *, repeats: int = REPEATS, seed: int = SEED
) -> Estimate:
    """Return a statistic of all rows, and its interval when groups are drawn with replacement.

    Args:
        statistic: A function of weights (n,); a draw in which it is nan does not count.
        groups: The group of each row (n,), from 0 without gaps.
        repeats: Draws.
        seed: Of the draws: the same groups are drawn for every statistic of a set, so that
            intervals of differences are paired.
    """
    rng = np.random.default_rng(seed)
    count = int(groups.max()) + 1
    found = []
    for _ in range(repeats):
        drawn = np.bincount(rng.integers(0, count, count), minlength=count)
        found.append(statistic(drawn[groups].astype(np.float64)))
    low, high = np.nanpercentile(found, LEVEL)
    return Estimate(statistic(np.ones(len(groups))), float(low), float(high))


def auroc(labels: NDArray[np.bool_], scores: Values) -> Statistic:
    """Return the AUROC as a function of weights; ties count half, nan where a class is missing.

    Args:
        labels: (n,).
        scores: (n,), high for True.
    """
    _, place = np.unique(scores, return_inverse=True)

    def statistic(weights: Values) -> float:
        true = np.bincount(place, weights * labels)
        false = np.bincount(place, weights * ~labels)
        pairs = true.sum() * false.sum()
        below = np.cumsum(false) - false / 2
        return float(true @ below / pairs) if pairs else float("nan")

    return statistic


def correlation(first: Values, second: Values) -> Statistic:
    """Return Pearson's correlation as a function of weights; 0 where one of them is constant."""

    def statistic(weights: Values) -> float:
        a = first - np.average(first, weights=weights)
        b = second - np.average(second, weights=weights)
        spread = np.sqrt((weights @ a**2) * (weights @ b**2))
        return float(weights @ (a * b) / spread) if spread > 1e-12 else 0.0

    return statistic


def spearman(first: Values, second: Values) -> float:
    """Return the rank correlation; 0 where one of them is constant."""
    ranks = [np.asarray(rankdata(one), dtype=np.float64) for one in (first, second)]
    return correlation(*ranks)(np.ones(len(first)))


def average(values: Values) -> Statistic:
    """Return the mean as a function of weights."""
    return lambda weights: float(np.average(values, weights=weights))


def difference(first: Statistic, second: Statistic) -> Statistic:
    """Return the first minus the second, of the same draw."""
    return lambda weights: first(weights) - second(weights)


def ranks_within(values: Values, groups: NDArray[np.int64]) -> Values:
    """Return the mid-rank of each row within its group (n,), between 0 and 1; 1/2 for equals."""
    found = np.zeros(len(values))
    for group in np.unique(groups):
        inside = groups == group
        found[inside] = (rankdata(values[inside]) - 0.5) / inside.sum()
    return found
