"""How good a classifier or regressor is on a whole part, never averaged over batches."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from genolm.atomic import write_text
from genolm.data.labelled_dataset import LabelledDataset
from genolm.metrics.baselines import kmer_baseline, length_baseline, majority_rate, task_metrics
from genolm.objectives import ProblemType, classification_loss
from genolm.training.labelled_parts import LabelledPart, LabelledParts
from genolm.training.recipe_finetune import Task

Figures = dict[str, float | None]

PROBLEM_TYPES: dict[Task, ProblemType] = {
    "classification": "single_label_classification",
    "multilabel": "multi_label_classification",
    "regression": "regression",
}


@torch.no_grad()
def predict_logits(
    model: nn.Module, examples: LabelledDataset, *, batch_size: int, device: torch.device
) -> NDArray[np.float64]:
    """Return the logits (rows, labels) of every example; ``model`` is left in evaluation mode."""
    model.eval()
    logits = []
    for first in range(0, len(examples), batch_size):
        rows = range(first, min(first + batch_size, len(examples)))
        ids = torch.stack([examples[row]["input_ids"] for row in rows])
        logits.append(model(ids.to(device)).logits.double().cpu())
    return np.asarray(torch.cat(logits).numpy())


def judge(logits: NDArray[np.float64], targets: NDArray[Any], task: Task) -> Figures:
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


def judge_baselines(parts: LabelledParts, task: Task, seed: int) -> dict[str, Figures]:
    """Return what needs no language model: the majority, k-mers, and the length alone."""
    known, asked = parts.learned, parts.test
    sets = (known.rows.sequences, known.targets, asked.rows.sequences, asked.targets)
    kmers = kmer_baseline(*sets, task=task, seed=seed)
    lengths = length_baseline(*sets, task=task)
    if task == "regression":
        return {"kmer_ridge": kmers, "length_only": lengths}
    majority: Figures = {"accuracy": majority_rate(known.targets, asked.targets)}
    return {"majority": majority, "kmer_logistic": kmers, "length_only": lengths}


def write_predictions(
    path: Path, part: LabelledPart, logits: NDArray[np.float64], task: Task, names: Sequence[str]
) -> None:
    """Write a TSV: the label, the prediction and the probability of each class, row by row."""
    header = ["row", "label", "predicted", *(f"p_{name}" for name in names)]
    lines = ["\t".join(header)]
    for row, label in enumerate(part.rows.labels):
        predicted, shares = _decide(logits[row], task, names)
        lines.append("\t".join([str(row), label, predicted, *(f"{p:.6g}" for p in shares)]))
    write_text(path, "\n".join(lines) + "\n")


def _decide(
    logits: NDArray[np.float64], task: Task, names: Sequence[str]
) -> tuple[str, NDArray[np.float64]]:
    if task == "regression":
        return f"{logits[0]:.6g}", np.zeros(0)
    if task == "multilabel":
        shares = 1 / (1 + np.exp(-logits))
        return ";".join(name for name, p in zip(names, shares, strict=True) if p > 0.5), shares
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    return names[int(shares.argmax())], shares
