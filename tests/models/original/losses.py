"""Losses of the originals, and what their models return."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.models.original.mamba import Array

PAD = 4


class Output(NamedTuple):
    """What an original returns: scores, the tuple it calls hidden states, the last normed one."""

    logits: Array
    hidden_states: tuple[Array, ...]
    last_hidden: Array


def surprisal(logits: Array, labels: NDArray) -> Array:
    """-log softmax(logits) at the labels: logits (..., classes), labels (...)."""
    top = logits.max(-1, keepdims=True)
    log_total = np.log(np.exp(logits - top).sum(-1)) + top[..., 0]
    return log_total - np.take_along_axis(logits, labels[..., None], -1)[..., 0]


def masked_lm_loss(logits: Array, labels: NDArray, weights: Array | None = None) -> float:
    """Mean over the labels that are no padding; with weights, weighted by them."""
    counted = (labels != PAD).astype(np.float64)
    if weights is not None:
        counted = counted * weights
    return float((surprisal(logits, labels) * counted).sum() / counted.sum())


def causal_lm_loss(logits: Array, labels: NDArray) -> float:
    """Mean over all successors, padding included."""
    return float(surprisal(logits[:, :-1], labels[:, 1:]).mean())


def classification_loss(logits: Array, labels: NDArray) -> float:
    """Mean over the sequences of logits (batch, classes)."""
    return float(surprisal(logits, labels).mean())
