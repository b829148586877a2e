"""Which validation was the best, and whether it is long ago."""

import math
from collections.abc import Mapping
from typing import Any

from genolm.training.loop import Lines


def worth(figure: float | None, metric: str) -> float:
    """Return a figure so that the highest is best, of a metric; one that is undefined is worst.

    Args:
        figure: Of the held-out part; a loss that is no number counts as undefined.
        metric: "loss" (lowest is best) or another figure (highest is best).
    """
    if figure is None or math.isnan(figure):
        return -math.inf
    return -figure if metric == "loss" else figure


def best_line(lines: Lines, metric: str) -> Mapping[str, Any] | None:
    """Return the first line of metrics.jsonl with the best validation; None before any.

    Args:
        lines: Of metrics.jsonl.
        metric: "loss" (lowest is best) or another figure (highest is best); where it is undefined,
            a line does not count.
    """
    name = f"valid_{metric}"
    judged = [line for line in lines if worth(line.get(name), metric) > -math.inf]
    return max(judged, key=lambda line: worth(line[name], metric), default=None)


def has_lost_patience(lines: Lines, metric: str, patience: int | None) -> bool:
    """Tell whether the last ``patience`` validations were no better than one before them."""
    steps = [line["step"] for line in lines if f"valid_{metric}" in line]
    best = best_line(lines, metric)
    if patience is None or best is None:
        return False
    return len(steps) - 1 - steps.index(best["step"]) >= patience
