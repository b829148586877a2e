"""Which validation was the best, and whether it is long ago."""

from collections.abc import Mapping
from typing import Any

from genolm.training.loop import Lines


def best_line(lines: Lines, metric: str) -> Mapping[str, Any] | None:
    """Return the first line of metrics.jsonl with the best validation; None before any.

    Args:
        lines: Of metrics.jsonl.
        metric: "loss" (lowest is best) or another figure (highest is best); where it is undefined,
            a line does not count.
    """
    name = f"valid_{metric}"
    judged = [line for line in lines if line.get(name) is not None]
    sign = -1.0 if metric == "loss" else 1.0
    return max(judged, key=lambda line: sign * float(line[name]), default=None)


def has_lost_patience(lines: Lines, metric: str, patience: int | None) -> bool:
    """Tell whether the last ``patience`` validations were no better than one before them."""
    steps = [line["step"] for line in lines if f"valid_{metric}" in line]
    best = best_line(lines, metric)
    if patience is None or best is None:
        return False
    return len(steps) - 1 - steps.index(best["step"]) >= patience
