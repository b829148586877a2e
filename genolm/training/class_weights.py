"""A training loss in which rare classes count more."""

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from genolm.data.labels import Task
from genolm.errors import UsageError
from genolm.objectives import ProblemType, classification_loss
from genolm.training.judge import PROBLEM_TYPES
from genolm.training.parts import Parts
from genolm.training.trainer import LossOf

Wanted = str | Mapping[str, float]


def weighted_loss(wanted: Wanted, parts: Parts, task: Task) -> LossOf | None:
    """Return the training loss that a recipe's ``class_weights`` ask for; None for the model's own.

    What is judged, and early stopping with it, stays unweighted.

    Args:
        wanted: "none", "balanced", or class name to weight.
        parts: The labelled set; "balanced" looks at its train part.
        task: What the labels are.

    Raises:
        UsageError: When there are no classes, or not these.
    """
    if wanted == "none":
        return None
    if task == "regression":
        raise UsageError("train.class_weights: a regression has no classes; leave it out")
    names = parts.space.names
    if isinstance(wanted, str):
        weights = balanced_weights(parts.train.targets, len(names))
    else:
        if strangers := sorted(wanted.keys() - set(names)):
            raise UsageError(
                f"train.class_weights: no class {strangers[0]!r}; there are {', '.join(names)}"
            )
        weights = np.array([wanted.get(name, 1.0) for name in names])
    tensor = torch.from_numpy(weights.astype(np.float32))
    return partial(_loss, tensor, PROBLEM_TYPES[task])


def _loss(
    weights: torch.Tensor, problem: ProblemType, logits: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    if labels.dim() == 2 and problem == "single_label_classification":  # of bases
        logits, labels = logits.flatten(0, 1), labels.flatten()
    return classification_loss(logits, labels, problem, weights=weights.to(logits.device))


def balanced_weights(targets: NDArray[np.generic], classes: int) -> NDArray[np.float64]:
    """Return the weight of every class (classes,): the rarer it is, the more.

    Args:
        targets: Class ids (rows,), weighed by rows / (classes * count) as scikit-learn does; or 0
            and 1 (rows, classes), weighed by rows without the class / rows with it.
        classes: Number of classes; one that no row has weighs 1.
    """
    if targets.ndim == 2:
        count = (targets != 0).sum(axis=0)
        return np.where(count > 0, (len(targets) - count) / np.maximum(count, 1), 1.0)
    count = np.bincount(targets.astype(np.int64), minlength=classes)
    return np.where(count > 0, len(targets) / (classes * np.maximum(count, 1)), 1.0)
