"""What models are trained for: pure functions of logits and labels."""

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from genolm.parallel import add_up, next_ones, refuse_slices

IGNORED = -100
"""Label of a position that does not count."""

Objective = Literal["masked_lm", "causal_lm"]
ProblemType = Literal["regression", "single_label_classification", "multi_label_classification"]


def masked_lm_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    pad_token_id: int | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """Mean cross-entropy, in nats, of the positions that have a label.

    Args:
        logits: Scores (batch, length, vocab_size).
        labels: Token ids (batch, length); -100 and the padding token do not count.
        pad_token_id: Id of the padding token, if there is one.
        weights: Weight of each position (batch, length); the mean is weighted by them.

    Returns:
        The loss; 0 where no position counts. Where sequences are shared over processes, it is that
        of all positions, wherever they are.
    """
    if pad_token_id is not None:
        labels = labels.masked_fill(labels == pad_token_id, IGNORED)
    counted = labels != IGNORED
    if weights is None:
        return add_up(_cross_entropy(logits, labels, "sum")) / add_up(counted.sum()).clamp(min=1)
    weights = weights.to(logits.dtype) * counted
    losses = _cross_entropy(logits, labels, "none").view_as(weights)
    tiny = torch.finfo(weights.dtype).tiny
    return add_up((losses * weights).sum()) / add_up(weights.sum()).clamp(min=tiny)


def causal_lm_loss(logits: Tensor, labels: Tensor, *, weights: Tensor | None = None) -> Tensor:
    """Mean cross-entropy, in nats, of each position's successor.

    Args:
        logits: Scores (batch, length, vocab_size).
        labels: Token ids (batch, length), not shifted: usually the input itself; -100 does not
            count, any other id does, padding included.
        weights: Weight of each position as a target (batch, length), not shifted either.

    Returns:
        The loss; 0 where no position counts; over processes as in `masked_lm_loss`.
    """
    following = next_ones(labels, IGNORED)
    if following is not None:
        weights = None if weights is None else next_ones(weights, 0)
        return masked_lm_loss(logits, following, weights=weights)
    weights = None if weights is None else weights[:, 1:]
    return masked_lm_loss(logits[:, :-1], labels[:, 1:], weights=weights)


def before_causal_loss(labels: Tensor, mask: Tensor) -> Tensor:
    """Leave out what padding would predict, and padding as a target.

    Args:
        labels: Token ids (batch, length), as for `causal_lm_loss`.
        mask: Positions that are no padding (batch, length).

    Returns:
        Labels (batch, length), with -100 wherever label or predecessor is padding.
    """
    predicted = functional.pad(mask[:, :-1], (1, 0)) & mask
    return labels.masked_fill(~predicted, IGNORED)


def classification_loss(
    logits: Tensor,
    labels: Tensor,
    problem_type: ProblemType | None = None,
    *,
    weights: Tensor | None = None,
) -> Tensor:
    """Loss of a sequence-level prediction.

    Args:
        logits: Scores (batch, num_labels).
        labels: Class ids (batch,), or values (batch,) or (batch, num_labels).
        problem_type: Mean squared error for regression, cross-entropy for one label among
            several, binary cross-entropy for several at once; None tells from shapes and types.
        weights: Weight of each class (num_labels,): of the rows that have it, the mean being
            weighted; or, with several at once, of having it against not having it.

    Returns:
        The mean loss.

    Raises:
        ValueError: If the problem type is unknown, or values were to be weighted by classes.
    """
    problem = _choose_problem_type(problem_type, logits.shape[-1], labels)
    if problem == "regression":
        if weights is not None:
            raise ValueError("a regression has no classes to weigh")
        return functional.mse_loss(logits.view(labels.shape), labels.to(logits.dtype))
    if problem == "multi_label_classification":
        wanted = labels.to(logits.dtype)
        return functional.binary_cross_entropy_with_logits(logits, wanted, pos_weight=weights)
    return functional.cross_entropy(logits, labels.view(-1), weights)


def token_classification_loss(
    logits: Tensor,
    labels: Tensor,
    problem_type: ProblemType | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Loss of a prediction for every position.

    Args:
        logits: Scores (batch, length, num_labels).
        labels: Class ids (batch, length), or values (batch, length) or (batch, length,
            num_labels); -100 does not count, nor does NaN.
        problem_type: As in `classification_loss`.
        mask: Positions that count (batch, length); None leaves that to the labels.

    Returns:
        The mean loss; 0 where no position counts.

    Raises:
        ValueError: If the problem type is unknown, or there is not a value for every score.
    """
    refuse_slices("the loss of a classifier")
    problem = _choose_problem_type(problem_type, logits.shape[-1], labels)
    if mask is not None:
        fitting = mask.view(*mask.shape, *[1] * (labels.dim() - mask.dim()))
        labels = labels.masked_fill(~fitting, IGNORED)
    if problem == "single_label_classification":
        return masked_lm_loss(logits, labels)
    if labels.numel() != logits.numel():
        raise ValueError(
            f"{problem} needs a value for every score, {tuple(logits.shape)}, "
            f"got labels of shape {tuple(labels.shape)}"
        )
    counted = (labels != IGNORED) & ~labels.isnan()
    if not counted.any():
        return 0 * logits.sum()
    return classification_loss(logits.view_as(labels)[counted], labels[counted], problem)


def guess_problem_type(num_labels: int, labels: Tensor) -> ProblemType:
    """Tell the problem from its labels: one output is regression, whole numbers are classes."""
    if num_labels == 1:
        return "regression"
    if labels.is_floating_point():
        return "multi_label_classification"
    return "single_label_classification"


def _choose_problem_type(given: ProblemType | None, num_labels: int, labels: Tensor) -> ProblemType:
    problem = given or guess_problem_type(num_labels, labels)
    if problem not in get_args(ProblemType):
        raise ValueError(
            f"problem_type must be one of {', '.join(get_args(ProblemType))}, got {problem!r}"
        )
    return problem


def _cross_entropy(logits: Tensor, labels: Tensor, reduction: str) -> Tensor:
    return functional.cross_entropy(
        logits.flatten(0, -2), labels.flatten(), ignore_index=IGNORED, reduction=reduction
    )
