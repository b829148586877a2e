"""Areas under the ROC curve with intervals from drawing genes anew, for many scores at once."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

DRAWS = 2000
SEED = 1
LEVEL = 95.0

CONTRASTS = (
    ("stop_gain", "synonymous"),
    ("stop_gain", "out_of_frame"),
    ("missense", "synonymous"),
)
"""Which kind should be found less likely than which."""

Scores = NDArray[np.float64]


def auroc(lower: Scores, higher: Scores) -> float:
    """Chance that a score of ``lower`` lies below one of ``higher``; ties count half."""
    ranks = rankdata(np.concatenate([lower, higher]))[len(lower) :]
    above = ranks.sum() - len(higher) * (len(higher) + 1) / 2
    return float(above / (len(lower) * len(higher)))


def aurocs(
    kinds: NDArray[np.str_], genes: NDArray[np.int64], scores: Mapping[str, Scores]
) -> dict[str, dict[str, dict[str, float | list[float]]]]:
    """AUROC of every contrast and score, and 95 % intervals over genes.

    Args:
        kinds: Kind of each variant (variants,).
        genes: Number of each variant's gene (variants,), 0 and up; every gene has the same number
            of variants of every kind.
        scores: Name to log-likelihood ratios (variants,); lower is less likely.

    Returns:
        Contrast, "stop_gain:synonymous", to name of the score to its "auroc", its "interval", and
        for the first score the interval of its "lead" over the best of the others.
    """
    rng = np.random.default_rng(SEED)
    draws = rng.integers(0, genes.max() + 1, (DRAWS, genes.max() + 1))
    return {
        f"{less}:{more}": _contrast(
            _by_gene(kinds == less, genes), _by_gene(kinds == more, genes), scores, draws
        )
        for less, more in CONTRASTS
    }


def _by_gene(wanted: NDArray[np.bool_], genes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places (genes, variants a gene) of the wanted variants."""
    places = np.flatnonzero(wanted)
    places = places[np.argsort(genes[places], kind="stable")]
    return places.reshape(genes.max() + 1, -1)


def _contrast(
    lower: NDArray[np.int64],
    higher: NDArray[np.int64],
    scores: Mapping[str, Scores],
    draws: NDArray[np.int64],
) -> dict[str, dict[str, float | list[float]]]:
    whole = {name: auroc(s[lower].ravel(), s[higher].ravel()) for name, s in scores.items()}
    drawn = {
        name: np.array([auroc(s[lower[d]].ravel(), s[higher[d]].ravel()) for d in draws])
        for name, s in scores.items()
    }
    result: dict[str, dict[str, float | list[float]]] = {
        name: {"auroc": round(whole[name], 4), "interval": _interval(drawn[name])}
        for name in scores
    }
    first, *others = scores
    best = max(others, key=lambda name: whole[name])
    result[first]["lead"] = _interval(drawn[first] - drawn[best])
    return result


def _interval(values: NDArray[np.float64]) -> list[float]:
    tail = (100 - LEVEL) / 2
    return [round(float(value), 4) for value in np.percentile(values, [tail, 100 - tail])]
