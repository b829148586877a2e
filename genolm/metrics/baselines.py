"""What a labelled set gives away without a model: its majority, its k-mers, its lengths.

Classification labels are class indices 0, 1, ...; multilabel ones 0/1 (n, labels); regression
ones values (n,) or (n, outputs). Every baseline learns from the training rows only.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genolm.metrics.classification import Metrics, classification_metrics
from genolm.metrics.linear import Task, logistic_regression, ridge
from genolm.metrics.regression import regression_metrics

Scores = NDArray[np.float64]
TASKS = ("classification", "multilabel", "regression")

LOG_ODDS_LIMIT = 30.0
"""Log-odds of a certain answer (p = 1 - 1e-13): logits must stay finite."""


def task_metrics(labels: ArrayLike, scores: ArrayLike, *, task: Task) -> Metrics:
    """The metrics of a task: those of classification, or of regression."""
    if task == "regression":
        return regression_metrics(labels, scores)
    return classification_metrics(labels, scores, task=task)


def majority_rate(train_labels: ArrayLike, test_labels: ArrayLike) -> float:
    """Accuracy on the test set of its best constant answer, among the classes of train.

    Args:
        train_labels: Class indices (n,), or 0/1 (n, labels).
        test_labels: Class indices (m,), or 0/1 (m, labels); with several labels, the mean.

    Returns:
        A share of the test rows; 0 when the two sets share no class.
    """
    train, test = _label_columns(train_labels), _label_columns(test_labels)
    rates = [
        max(float((said == answer).mean()) for answer in np.unique(known))
        for known, said in zip(train.T, test.T, strict=True)
    ]
    return float(np.mean(rates))


def kmer_baseline(
    train_sequences: Sequence[str],
    train_labels: ArrayLike,
    test_sequences: Sequence[str],
    test_labels: ArrayLike,
    *,
    task: Task,
    seed: int,
    k: Sequence[int] = (4, 5, 6),
    max_train: int = 10_000,
) -> Metrics:
    """The metrics of :func:`kmer_scores` on the whole test set (the keys of task_metrics)."""
    sets = (train_sequences, train_labels, test_sequences, test_labels)
    scores = kmer_scores(*sets, task=task, seed=seed, k=k, max_train=max_train)
    return task_metrics(test_labels, scores, task=task)


def kmer_scores(
    train_sequences: Sequence[str],
    train_labels: ArrayLike,
    test_sequences: Sequence[str],
    test_labels: ArrayLike,
    *,
    task: Task,
    seed: int,
    k: Sequence[int] = (4, 5, 6),
    max_train: int = 10_000,
) -> Scores:
    """Logistic (or ridge) regression on the k-mers of one strand, position forgotten.

    Features are tf-idf weights of all k-mers with logarithmic counts, each row of length 1; a
    k-mer with anything but A, C, G, T is left out, case is ignored.

    Args:
        train_sequences: DNA (n,).
        train_labels: Labels of the training rows (see the module).
        test_sequences: DNA (m,).
        test_labels: Labels of the test rows; only their shape and number of classes count.
        task: ``classification``, ``multilabel`` (one regression a label) or ``regression``.
        seed: Draws the training rows when there are more than ``max_train``.
        k: Word lengths.
        max_train: Most training rows used.

    Returns:
        Logits (m, classes), log-odds (m, labels) or values as the labels, of the test rows.

    Raises:
        ValueError: When nothing can be learned (no row, or a single class in train).
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    labels = _learnable(train_labels, task)
    chosen = _subsample(len(train_sequences), max_train, seed)
    vectorizer = TfidfVectorizer(
        analyzer="char",
        ngram_range=(min(k), max(k)),
        vocabulary=["".join(word) for n in k for word in itertools.product("acgt", repeat=n)],
        sublinear_tf=True,
    )
    train = vectorizer.fit_transform([train_sequences[i] for i in chosen])
    test = vectorizer.transform(list(test_sequences))
    learners = {"classifier": logistic_regression, "regressor": ridge}
    return fit_and_score(learners, train, labels[chosen], test, test_labels, task)


def length_baseline(
    train_sequences: Sequence[str],
    train_labels: ArrayLike,
    test_sequences: Sequence[str],
    test_labels: ArrayLike,
    *,
    task: Task,
) -> Metrics:
    """The metrics of :func:`length_scores` on the whole test set (the keys of task_metrics)."""
    scores = length_scores(train_sequences, train_labels, test_sequences, test_labels, task=task)
    return task_metrics(test_labels, scores, task=task)


def length_scores(
    train_sequences: Sequence[str],
    train_labels: ArrayLike,
    test_sequences: Sequence[str],
    test_labels: ArrayLike,
    *,
    task: Task,
) -> Scores:
    """A decision tree that sees the length of a sequence and nothing else.

    Args:
        train_sequences: DNA (n,).
        train_labels: Labels of the training rows (see the module).
        test_sequences: DNA (m,).
        test_labels: Labels of the test rows; only their shape and number of classes count.
        task: ``classification``, ``multilabel`` or ``regression``.

    Returns:
        Scores of the test rows, as :func:`kmer_scores`. Far above the majority rate, they say that
        a model which can see padding may score without reading a base.

    Raises:
        ValueError: When nothing can be learned (no row, or a single class in train).
    """
    labels = _learnable(train_labels, task)
    train, test = (
        np.array([[len(sequence)] for sequence in sequences], dtype=np.float64)
        for sequences in (train_sequences, test_sequences)
    )
    learners = {"classifier": _classification_tree, "regressor": _regression_tree}
    return fit_and_score(learners, train, labels, test, test_labels, task)


def linear_scores(
    train: Any, train_labels: ArrayLike, test: Any, test_labels: ArrayLike, *, task: Task
) -> Scores:
    """Logistic (or ridge) regression on any features.

    Args:
        train: Features (n, f), dense or sparse.
        train_labels: Labels of the training rows (see the module).
        test: Features (m, f).
        test_labels: Labels of the test rows; only their shape and number of classes count.
        task: ``classification``, ``multilabel`` or ``regression``.

    Returns:
        Scores of the test rows, as :func:`kmer_scores`.

    Raises:
        ValueError: When nothing can be learned (no row, or a single class in train).
    """
    learners = {"classifier": logistic_regression, "regressor": ridge}
    return fit_and_score(learners, train, _learnable(train_labels, task), test, test_labels, task)


def _learnable(labels: ArrayLike, task: Task) -> NDArray[Any]:
    """Training labels as an array, once it is clear that something can be learned from them."""
    if task not in TASKS:
        raise ValueError(f"task {task!r}: choose one of {', '.join(TASKS)}")
    known = np.asarray(labels)
    if len(known) == 0:
        raise ValueError("no training rows to learn a baseline from")
    if task == "classification" and (known == known[0]).all():
        raise ValueError("the training rows hold a single class: nothing to learn")
    return known


def fit_and_score(
    learners: Mapping[str, Any],
    train: Any,
    train_labels: NDArray[Any],
    test: Any,
    test_labels: ArrayLike,
    task: Task,
) -> Scores:
    """Fit the task's learner on one part and apply it to another.

    Args:
        learners: Makers of scikit-learn estimators: ``classifier`` (with predict_proba) and
            ``regressor``.
        train: Features (n, f), dense or sparse.
        train_labels: Labels of the rows of train (see the module).
        test: Features (m, f).
        test_labels: Labels of the rows of test; only their shape and number of classes count.
        task: What the labels are.

    Returns:
        Logits (m, classes), log-odds (m, labels) or values as the labels.
    """
    truth = np.asarray(test_labels)
    if task == "regression":
        predicted = learners["regressor"]().fit(train, train_labels).predict(test)
        return np.reshape(np.asarray(predicted, dtype=np.float64), truth.shape)
    if task == "multilabel":
        columns = [
            _logits(learners["classifier"](), train, column, test, classes=2)
            for column in train_labels.T
        ]
        return np.stack([logit[:, 1] - logit[:, 0] for logit in columns], axis=1)
    classes = 1 + int(max(train_labels.max(), truth.max(initial=0)))
    return _logits(learners["classifier"](), train, train_labels, test, classes=classes)


def _logits(
    learner: Any, train: Any, labels: NDArray[Any], test: Any, *, classes: int
) -> NDArray[np.float64]:
    """Log-probabilities (m, classes) of a classifier; unlikely as can be for unseen classes."""
    seen = np.unique(labels).astype(np.int64)
    logits = np.full((test.shape[0], classes), -LOG_ODDS_LIMIT)
    if len(seen) == 1:
        logits[:, seen] = 0.0
        return logits
    probabilities = learner.fit(train, labels).predict_proba(test)
    logits[:, seen] = np.log(np.maximum(probabilities, np.exp(-LOG_ODDS_LIMIT)))
    return logits


def _subsample(rows: int, most: int, seed: int) -> NDArray[np.int64]:
    """Indices of at most ``most`` rows, in order, drawn by seed."""
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).permutation(rows)[:most])


def _label_columns(labels: ArrayLike) -> NDArray[Any]:
    """Labels as (n, labels)."""
    given = np.asarray(labels)
    return given[:, None] if given.ndim == 1 else given


def _classification_tree() -> Any:
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(min_samples_leaf=5, random_state=0)


def _regression_tree() -> Any:
    from sklearn.tree import DecisionTreeRegressor

    return DecisionTreeRegressor(min_samples_leaf=5, random_state=0)
