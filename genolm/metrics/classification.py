"""Metrics of classifiers, computed once on a whole set (never averaged over batches).

A metric that the set leaves undefined is None, never NaN: AUROC and AUPRC need rows with and
without the class; MCC needs two classes among the labels; F1 needs the class among labels or
predictions. Macro averages leave such classes out and are None when nothing is left.
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Metrics = dict[str, float | None]
Labels = NDArray[np.int64]
Scores = NDArray[np.float64]


def classification_metrics(
    labels: ArrayLike,
    scores: ArrayLike,
    *,
    task: Literal["classification", "multilabel"] = "classification",
) -> Metrics:
    """Accuracy, MCC, AUROC, AUPRC (average precision) and F1 of a whole set.

    Two classes: F1, AUROC and AUPRC of class 1. More: their macro average, one class against the
    rest. Multilabel: every metric is the macro average over the labels, each decided at logit 0.

    Args:
        labels: Class indices (n,), or 0/1 (n, labels) when multilabel.
        scores: Logits (log-probabilities do as well) (n, classes) or (n, labels).
        task: ``classification`` or ``multilabel``.

    Returns:
        ``accuracy mcc auroc auprc f1``, each a float or None (see the module's rule).

    Raises:
        ValueError: When shapes do not fit, a score is not finite or a label is no class.
    """
    logits = np.asarray(scores, dtype=np.float64)
    if logits.ndim != 2 or len(logits) == 0:
        raise ValueError(f"scores of shape {logits.shape}: (rows, classes) needed, not empty")
    if not np.isfinite(logits).all():
        raise ValueError("scores hold NaN or infinity: the model's output cannot be judged")
    if task == "multilabel":
        return _multilabel(_checked(labels, logits.shape, classes=2), logits)
    if task == "classification":
        classes = logits.shape[1]
        return _single_label(_checked(labels, logits.shape[:1], classes=classes), logits)
    raise ValueError(f"task {task!r}: choose classification or multilabel")


def _checked(labels: ArrayLike, shape: tuple[int, ...], *, classes: int) -> Labels:
    """Labels as integers of the given shape, every one of them a class."""
    given = np.asarray(labels)
    if given.shape != shape:
        raise ValueError(f"labels of shape {given.shape}: {shape} needed to fit the scores")
    whole = given.astype(np.int64)
    if not np.array_equal(whole, given) or whole.min() < 0 or whole.max() >= classes:
        raise ValueError(f"labels must be whole numbers from 0 to {classes - 1}")
    return whole


def _single_label(labels: Labels, logits: Scores) -> Metrics:
    """Metrics of exclusive classes; labels (n,), logits (n, classes >= 2)."""
    classes = logits.shape[1]
    if classes < 2:
        raise ValueError("scores for one class only: two columns or more needed")
    predicted = logits.argmax(axis=1)
    judged = [1] if classes == 2 else range(classes)
    by_class = [(labels == c, predicted == c, log_odds(logits, c)) for c in judged]
    return {
        "accuracy": float((predicted == labels).mean()),
        "mcc": _mcc(labels, predicted),
        "auroc": _mean(_auroc(true, odds) for true, _, odds in by_class),
        "auprc": _mean(_auprc(true, odds) for true, _, odds in by_class),
        "f1": _mean(_f1(true, said) for true, said, _ in by_class),
    }


def _multilabel(labels: Labels, logits: Scores) -> Metrics:
    """Macro averages over independent labels; labels and logits (n, labels)."""
    pairs = [(labels[:, i] == 1, logits[:, i]) for i in range(labels.shape[1])]
    return {
        "accuracy": float(((logits > 0) == (labels == 1)).mean()),
        "mcc": _mean(_mcc(true, logit > 0) for true, logit in pairs),
        "auroc": _mean(_auroc(true, logit) for true, logit in pairs),
        "auprc": _mean(_auprc(true, logit) for true, logit in pairs),
        "f1": _mean(_f1(true, logit > 0) for true, logit in pairs),
    }


def log_odds(logits: Scores, index: int) -> Scores:
    """Log-odds (n,) of one class against the rest; ranks as its softmax does, without ties at 1."""
    rest = np.logaddexp.reduce(np.delete(logits, index, axis=1), axis=1)
    odds: Scores = logits[:, index] - rest
    return odds


def _ranked(
    metric: Callable[..., Any], positive: NDArray[np.bool_], scores: Scores
) -> float | None:
    """A ranking metric, where both kinds of rows are there."""
    if positive.all() or not positive.any():
        return None
    return float(metric(positive, scores))


def _auroc(positive: NDArray[np.bool_], scores: Scores) -> float | None:
    """Area under the ROC curve: the chance that a positive row outranks a negative one."""
    from sklearn.metrics import roc_auc_score

    return _ranked(roc_auc_score, positive, scores)


def _auprc(positive: NDArray[np.bool_], scores: Scores) -> float | None:
    """Average precision: precision summed over the steps of recall."""
    from sklearn.metrics import average_precision_score

    return _ranked(average_precision_score, positive, scores)


def _mcc(labels: NDArray[Any], predicted: NDArray[Any]) -> float | None:
    """Matthews' correlation (Gorodkin 2004, R_K); 0 for a constant prediction."""
    from sklearn.metrics import matthews_corrcoef

    if (labels == labels[0]).all():
        return None
    return float(matthews_corrcoef(labels, predicted))


def _f1(positive: NDArray[np.bool_], said: NDArray[np.bool_]) -> float | None:
    """2 TP / (2 TP + FP + FN)."""
    size = int(positive.sum() + said.sum())
    return 2 * int((positive & said).sum()) / size if size else None


def _mean(values: Iterable[float | None]) -> float | None:
    """The mean of what is defined."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
