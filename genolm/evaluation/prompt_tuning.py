"""Gradient descent on answers: the loss is that of the one token after each question."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from genolm.data.randomness import permutation
from genolm.evaluation.prompts import Ids


@dataclass(frozen=True)
class Tuning:
    """How something is trained on questions and answers.

    Attributes:
        epochs: Passes over the questions, at most.
        batch_size: Questions to a step.
        learning_rate: Of AdamW, without weight decay; gradients are clipped to a norm of 1.
        patience: Epochs without a better validation before stopping.
    """

    epochs: int = 20
    batch_size: int = 16
    learning_rate: float = 1e-3
    patience: int = 3


def tune(
    logits_of: Callable[[Sequence[Ids]], Tensor],
    parameters: Sequence[nn.Parameter],
    questions: Sequence[Ids],
    answers: Sequence[int],
    tuning: Tuning,
    seed: int,
    validate: Callable[[], float] | None = None,
) -> None:
    """Train parameters, in place, so that each question is followed by its answer.

    After each epoch that did not lower the validation loss the rate falls to a tenth; the
    parameters of the best epoch are kept.

    Args:
        logits_of: Logits (questions, vocabulary) after questions of one length.
        parameters: To be trained.
        questions: Token ids, (length,) each.
        answers: The token that follows each.
        tuning: How.
        seed: Of the order.
        validate: Returns the loss by which epochs are judged; None keeps the last.
    """
    optimizer = torch.optim.AdamW(parameters, lr=tuning.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=0)
    best, kept, best_epoch = np.inf, [p.detach().clone() for p in parameters], -1
    for epoch in range(tuning.epochs):
        order = permutation(seed, epoch, len(questions)).tolist()
        for start in range(0, len(order), tuning.batch_size):
            optimizer.zero_grad()
            _descend(logits_of, questions, answers, order[start : start + tuning.batch_size])
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
        loss = -float(epoch) if validate is None else validate()
        schedule.step(loss)
        if loss < best:
            best, best_epoch = loss, epoch
            kept = [parameter.detach().clone() for parameter in parameters]
        if epoch - best_epoch >= tuning.patience:
            break
    optimizer.zero_grad()
    with torch.no_grad():
        for parameter, value in zip(parameters, kept, strict=True):
            parameter.copy_(value)


def _descend(
    logits_of: Callable[[Sequence[Ids]], Tensor],
    questions: Sequence[Ids],
    answers: Sequence[int],
    rows: Sequence[int],
) -> None:
    """Add the gradients of a batch's mean loss; questions of one length are run together."""
    by_length: dict[int, list[int]] = defaultdict(list)
    for row in rows:
        by_length[len(questions[row])].append(row)
    for members in by_length.values():
        logits = logits_of([questions[row] for row in members]).float()
        targets = torch.tensor([answers[row] for row in members], device=logits.device)
        loss = functional.cross_entropy(logits, targets, reduction="sum") / len(rows)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's
