"""Linear models of scikit-learn, as baselines fit them, and as one linear layer."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Task = Literal["classification", "multilabel", "regression"]


def logistic_regression() -> Any:
    """Return an unfitted logistic regression."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1.0, max_iter=1000)


def ridge() -> Any:
    """Return an unfitted ridge regression."""
    from sklearn.linear_model import Ridge

    return Ridge(alpha=1.0)


def fit_layer(
    features: Any, labels: NDArray[Any], outputs: int, task: Task
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit a logistic (or ridge) regression and return it as one linear layer.

    Args:
        features: (n, f), dense or sparse.
        labels: Class indices (n,); 0/1 (n, labels); or values (n,) or (n, outputs).
        outputs: Classes, labels or values.
        task: What the labels are.

    Returns:
        Weights (f, outputs) and biases (outputs,) of logits, log-odds or values. A class of no row
        is held for as likely as one row of all.
    """
    if task == "regression":
        fitted = ridge().fit(features, labels.reshape(len(labels), outputs))
        weights, biases = np.reshape(fitted.coef_, (outputs, -1)), fitted.intercept_
        return weights.T, np.broadcast_to(biases, (outputs,))
    if task == "multilabel":
        pairs = [_fit_classes(features, column, 2) for column in labels.T]
        signs = np.array([-1.0, 1.0])
        return np.stack([w @ signs for w, _ in pairs], axis=1), np.array(
            [b @ signs for _, b in pairs]
        )
    return _fit_classes(features, labels, outputs)


def _fit_classes(
    features: Any, labels: NDArray[Any], outputs: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    weights = np.zeros((features.shape[1], outputs))
    biases = np.full(outputs, -np.log(len(labels) + 1))
    seen = np.unique(labels).astype(np.int64)
    biases[seen] = 0
    if len(seen) < 2:
        return weights, biases
    fitted = logistic_regression().fit(features, labels)
    slopes, offsets = fitted.coef_, fitted.intercept_
    if len(seen) == 2:
        slopes, offsets = np.vstack([-slopes, slopes]) / 2, np.array([-1, 1]) * offsets[0] / 2
    weights[:, seen], biases[seen] = slopes.T, offsets
    return weights, biases
