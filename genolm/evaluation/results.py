"""What a run left behind: one JSON file for every (task, row, run), and the scores beside it.

``OUT/TASK/ROW/seed-1.json`` appears whole or not at all, after everything else of its run; what is
there is never done again. ``seed-1.npz`` holds the scores of the test rows.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genolm.atomic import replace_when_done
from genolm.data.table import read_columns
from genolm.errors import UsageError
from genolm.evaluation.protocols import AVERAGED_ROWS
from genolm.metrics.baselines import task_metrics
from genolm.metrics.linear import Task
from genolm.training.checkpoints import read_json, write_json

Scores = NDArray[np.float64]
Values = dict[str, Any]
FREE: Final = (
    *("data.workers", "train.threads", "train.log_every", "train.save_every"),
    *("data.train", "data.valid", "data.test", "data.fasta"),
)
"""Keys of a recipe that change nothing of a result: files are told apart by what they hold."""
SMALLEST: Final = 1e-12
"""Share below which a printed probability is taken for this one: its logarithm must be finite."""


@dataclass(frozen=True)
class ResultFile:
    """Where the result of one run stands.

    Attributes:
        path: The JSON file.
    """

    path: Path

    @property
    def scores_path(self) -> Path:
        """The file with the scores of the test rows."""
        return self.path.with_suffix(".npz")

    @property
    def run_folder(self) -> Path:
        """The folder of the training."""
        return self.path.with_suffix("")

    def is_there(self) -> bool:
        """Tell whether the run is done."""
        return self.path.is_file()

    def read(self) -> Values:
        """Return the result."""
        return read_json(self.path)

    def read_scores(self) -> Scores | None:
        """Return the scores of the test rows; None where there are none."""
        if not self.scores_path.is_file():
            return None
        with np.load(self.scores_path, allow_pickle=False) as file:
            return np.asarray(file["scores"], dtype=np.float64)

    def write(self, values: Mapping[str, Any], scores: Scores | None) -> None:
        """Write the scores and then the result, which says that the run is done."""
        if scores is not None:
            with replace_when_done(self.scores_path) as partial:
                np.savez_compressed(partial, scores=scores.astype(np.float32))
        write_json(self.path, values)

    def require(self, fingerprint: str) -> None:
        """Refuse a result that another recipe or other data gave.

        Raises:
            UsageError: It is of something else.
        """
        if self.read().get("fingerprint") != fingerprint:
            raise UsageError(
                f"{self.path} was made with another recipe, model or protocol: give the row another"
                " name, another --output, or --restart"
            )


def fingerprint_of(recipe: Mapping[str, Any], *facts: str) -> str:
    """Return a digest of all that a result depends on.

    Args:
        recipe: Values of the training, without data and output.
        facts: Digest of the data, protocol, run, ...
    """
    flat = {key: value for key, value in _flatten(recipe) if key not in FREE}
    text = json.dumps([flat, facts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value


def figures_of_rows(
    scores: Scores, targets: NDArray[Any], rows: NDArray[np.int64], task: Task
) -> Values | None:
    """Return the metrics of some test rows, or None where there are none of them."""
    if not len(rows):
        return None
    return {**task_metrics(targets[rows], scores[rows], task=task), "n": len(rows)}


def median_auroc(
    scores: Scores, targets: NDArray[Any], groups: Mapping[str, Sequence[int]]
) -> dict[str, float | None]:
    """Return the median AUROC of the labels of each group, as chromatin profiles are reported.

    Args:
        scores: Log-odds (rows, labels).
        targets: 0 and 1 (rows, labels).
        groups: First label of each, and the one after its last; nothing is said of labels that are
            not there.

    Returns:
        By ``auroc_`` and the group's name; None where no label has rows with and without it.
    """
    one_each = [
        task_metrics(targets[:, [label]], scores[:, [label]], task="multilabel")["auroc"]
        for label in range(targets.shape[1])
    ]
    medians: dict[str, float | None] = {}
    for name, (first, end) in groups.items():
        known = [figure for figure in one_each[first:end] if figure is not None]
        medians[f"auroc_{name}"] = float(np.median(known)) if known else None
    return medians


def averaged_figures(scores: Scores, targets: NDArray[Any], task: Task) -> Values:
    """Return the metrics as means over batches, as the papers' code has them.

    A batch counts as much as it has rows, as in Lightning's means over an epoch; one where a metric
    is undefined does not count. The rows are mixed first: many sets list them class by class.
    """
    order = np.random.default_rng(0).permutation(len(targets))
    batches = [order[i : i + AVERAGED_ROWS] for i in range(0, len(order), AVERAGED_ROWS)]
    found = [task_metrics(targets[rows], scores[rows], task=task) for rows in batches]
    means: Values = {"n": len(targets)}
    for name in found[0]:
        known = {
            number: figure
            for number, figures in enumerate(found)
            if (figure := figures[name]) is not None
        }
        sizes = [len(batches[number]) for number in known]
        means[name] = float(np.average(list(known.values()), weights=sizes)) if known else None
    return means


def read_scores(file: Path, task: str) -> Scores:
    """Return the scores of the test rows from the predictions of a training.

    Args:
        file: ``test_predictions.tsv``.
        task: What the labels are.

    Returns:
        Log-probabilities (rows, classes), log-odds (rows, labels), or values (rows,).
    """
    with file.open(encoding="utf-8") as opened:
        header = opened.readline().rstrip("\n").split("\t")
    if task == "regression":
        return np.array([float(cell) for cell in read_columns(file, ["predicted"]).values[0]])
    columns = read_columns(file, [name for name in header if name.startswith("p_")]).values
    shares = np.array(columns, dtype=np.float64).T
    logs = np.log(np.maximum(shares, SMALLEST))
    if task == "multilabel":
        return np.asarray(logs - np.log(np.maximum(1 - shares, SMALLEST)))
    return np.asarray(logs)
