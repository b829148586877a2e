"""How well a classifier of bases tells its classes, from metrics.json."""

from collections.abc import Mapping
from typing import Any

from genolm.report.page import note, table
from genolm.report.predictions import MOST_CLASSES, MOST_ROWS


def show_positions(metrics: Mapping[str, Any]) -> list[str]:
    """Return the confusion matrix of the test part's bases and a table of the classes, as HTML.

    Args:
        metrics: Of a finished run of ``task: token_classification``.
    """
    names = metrics["classes"]
    figures = [
        [name, *(metrics["by_class"][name][key] for key in ("n", "precision", "recall", "f1"))]
        for name in names[:MOST_ROWS]
    ]
    shown = [table(("class", "bases", "precision", "recall", "F1"), figures)]
    if len(names) <= MOST_CLASSES:
        cells = [[name, *row] for name, row in zip(names, metrics["confusion"], strict=True)]
        shown.insert(0, table(("label \\ predicted", *names), cells))
    told = (
        f"All bases of {metrics['sequences']:,} test sequences; intervals are of whole sequences"
        " drawn again. The predictions are in test_predictions.tsv."
    )
    return [*shown, note(told)]
