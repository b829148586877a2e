"""Metrics among rows that belong together, such as those of one experiment or distance."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genolm.metrics.baselines import Scores, task_metrics
from genolm.metrics.classification import Metrics
from genolm.metrics.linear import Task

MEAN = "mean"
"""Of the strata, each counting once; where a metric is undefined, a stratum does not count."""


def stratified_metrics(
    labels: NDArray[Any], scores: Scores, strata: Sequence[str], *, task: Task
) -> dict[str, Metrics]:
    """Return the metrics of every stratum by its name, and their mean.

    Args:
        labels: As for :func:`genolm.metrics.baselines.task_metrics` (rows, ...).
        scores: Logits, or values (rows, outputs).
        strata: Of each row (rows,).
        task: What the labels are.
    """
    found: dict[str, Metrics] = {}
    names = np.array(strata)
    shaped = scores.reshape(labels.shape) if task == "regression" else scores
    for name in sorted(set(strata)):
        rows = names == name
        figures = task_metrics(labels[rows], shaped[rows], task=task)
        found[name] = {**figures, "n": int(rows.sum())}
    keys = [key for key in next(iter(found.values()), {}) if key != "n"]
    means: Metrics = {"n": len(found)}
    for key in keys:
        known = [figure for one in found.values() if (figure := one[key]) is not None]
        means[key] = float(np.mean(known)) if known else None
    return {**found, MEAN: means}
