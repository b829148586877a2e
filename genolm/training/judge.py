"""How good a classifier or regressor is on a whole part, never averaged over batches."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from genolm.atomic import write_text
from genolm.metrics.baselines import task_metrics
from genolm.metrics.intervals import Bootstrap, Comparison, compare
from genolm.objectives import IGNORED, ProblemType, classification_loss
from genolm.training.parts import Part, PartExamples, Parts
from genolm.training.recipe_finetune import Task

Figures = dict[str, float | None]
Scores = NDArray[np.float64]

PROBLEM_TYPES: dict[Task, ProblemType] = {
    "classification": "single_label_classification",
    "multilabel": "multi_label_classification",
    "regression": "regression",
}


@torch.no_grad()
def predict_logits(
    model: nn.Module,
    examples: PartExamples,
    *,
    batch_size: int,
    device: torch.device,
    order: NDArray[np.int64] | None = None,
) -> Scores:
    """Return the logits (rows, labels) of every example; ``model`` is left in evaluation mode.

    Args:
        model: With a head of labels.
        examples: What it reads.
        batch_size: Rows at a time.
        device: Where the model is.
        order: In which rows go through the model, such as that of their lengths; the logits are
            in the order of the rows.
    """
    places = np.arange(len(examples)) if order is None else order
    batches = _run(model, examples, places, batch_size, device)
    return np.asarray(torch.cat([logits for logits, _ in batches]).numpy())[places.argsort()]


@torch.no_grad()
def predict_positions(
    model: nn.Module,
    examples: PartExamples,
    *,
    batch_size: int,
    device: torch.device,
    order: NDArray[np.int64] | None = None,
) -> Scores:
    """Return the logits (positions, classes) of all positions that have a label, row after row.

    Arguments as for :func:`predict_logits`; the labels of ``examples`` are (length,), -100 where
    there is none.
    """
    places = np.arange(len(examples)) if order is None else order
    rows: list[torch.Tensor] = []
    for logits, labels in _run(model, examples, places, batch_size, device):
        assert labels is not None
        rows += [found[label != IGNORED] for found, label in zip(logits, labels, strict=True)]
    return np.asarray(torch.cat([rows[place] for place in places.argsort()]).numpy())


def _run(
    model: nn.Module,
    examples: PartExamples,
    places: NDArray[np.int64],
    batch_size: int,
    device: torch.device,
) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
    """Yield the logits of batch after batch, float64, and the labels where examples have any."""
    model.eval()
    for first in range(0, len(places), batch_size):
        batch = examples.__getitems__(places[first : first + batch_size].tolist()).columns
        labels = batch.pop("labels", None)
        inputs = {name: tensor.to(device) for name, tensor in batch.items()}
        yield model(**inputs).logits.double().cpu(), labels


def judge(logits: Scores, targets: NDArray[Any], task: Task) -> Figures:
    """Return ``loss`` and the metrics of the task on a whole part, and ``n``.

    Args:
        logits: Of every row (rows, labels).
        targets: Labels (rows,) or (rows, labels).
        task: What the labels are.
    """
    loss = classification_loss(
        torch.from_numpy(logits), torch.from_numpy(targets), PROBLEM_TYPES[task]
    )
    scores = logits.reshape(targets.shape) if task == "regression" else logits
    return {"loss": float(loss), **task_metrics(targets, scores, task=task), "n": len(targets)}


def judge_baselines(
    parts: Parts, task: Task, seed: int, scores: Mapping[str, Scores] | None = None
) -> dict[str, Figures]:
    """Return the figures of what needs no language model.

    Args:
        parts: The labelled set.
        task: What the labels are.
        seed: Of the rows that baselines learn from.
        scores: What ``parts.baseline_scores`` returned; None to ask it.
    """
    found = parts.baseline_scores(task, seed) if scores is None else scores
    asked = parts.test.targets
    figures = parts.constant_figures(task)
    return figures | {name: task_metrics(asked, said, task=task) for name, said in found.items()}


def judge_certainty(
    logits: Scores, baselines: Mapping[str, Scores], targets: NDArray[Any], task: Task
) -> dict[str, Any]:
    """Return how far the figures of the test part could be off, for metrics.json.

    Args:
        logits: Of the model, for every test row (rows, labels).
        baselines: What ``Parts.baseline_scores`` returned.
        targets: Labels (rows,) or (rows, labels).
        task: What the labels are.

    Returns:
        ``intervals`` of the model's figures, ``baseline_intervals``, ``above_baselines`` (of what
        the model is above each baseline on the same rows) and how they were made, ``bootstrap``;
        nothing when the test part is so large that they would take minutes.
    """
    bootstrap = Bootstrap.within(len(logits), logits.shape[1])
    if bootstrap is None:
        return {}
    said = logits.reshape(targets.shape) if task == "regression" else logits
    compared = compare(targets, {"model": said, **baselines}, task=task, bootstrap=bootstrap)
    return describe_certainty(compared, bootstrap)


def describe_certainty(compared: Comparison, bootstrap: Bootstrap) -> dict[str, Any]:
    """Return a comparison of "model" with baselines as metrics.json has it."""
    rest = dict(compared.intervals)
    return {
        "intervals": rest.pop("model"),
        "baseline_intervals": rest,
        "above_baselines": compared.above,
        "bootstrap": {"draws": bootstrap.draws, "confidence": bootstrap.confidence},
    }


def interval_rows(certainty: Mapping[str, Any]) -> dict[str, Figures]:
    """Return the ends of the model's intervals as two rows to stand under its figures.

    Args:
        certainty: From :func:`judge_certainty` or metrics.json; with no intervals, no rows.
    """
    intervals = certainty.get("intervals", {})
    if not intervals:
        return {}
    share = f"{100 * certainty['bootstrap']['confidence']:g} %"
    return {
        f"  {share} {word}": {name: ends and ends[at] for name, ends in intervals.items()}
        for at, word in enumerate(("from", "to"))
    }


def write_predictions(
    path: Path, part: Part, logits: Scores, task: Task, names: Sequence[str]
) -> None:
    """Write a TSV: the label, the prediction and the probability of each class, row by row."""
    header = [*part.name_columns(), "label", "predicted", *(f"p_{name}" for name in names)]
    lines = ["\t".join(header)]
    for row, label in enumerate(part.rows.labels):
        predicted, shares = _decide(logits[row], task, names)
        lines.append("\t".join([*part.name(row), label, predicted, *(f"{p:.6g}" for p in shares)]))
    write_text(path, "\n".join(lines) + "\n")


def _decide(logits: Scores, task: Task, names: Sequence[str]) -> tuple[str, Scores]:
    if task == "regression":
        return f"{logits[0]:.6g}", np.zeros(0)
    if task == "multilabel":
        shares = 1 / (1 + np.exp(-logits))
        return ";".join(name for name, p in zip(names, shares, strict=True) if p > 0.5), shares
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    return names[int(shares.argmax())], shares
