"""What the letters of a variant give away without a model: its class of change, its k-mers.

Labels are as in :mod:`genolm.metrics.baselines`; every baseline learns from the training rows only.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from genolm.metrics.baselines import Scores, linear_scores
from genolm.metrics.classification import Metrics
from genolm.metrics.linear import Task
from genolm.metrics.regression import regression_metrics

Alleles = tuple[str, str]  # the bases around a variant with REF and with ALT


def category_scores(
    train: Sequence[str],
    train_labels: ArrayLike,
    test: Sequence[str],
    test_labels: ArrayLike,
    *,
    task: Task,
) -> Scores:
    """Logistic (or ridge) regression on one category of each row, such as its trinucleotide change.

    Args:
        train: Categories of the training rows (n,).
        train_labels: Their labels.
        test: Categories of the test rows (m,); those that train lacks have no feature.
        test_labels: Labels of the test rows; only their shape and number of classes count.
        task: ``classification`` or ``regression``.

    Returns:
        Logits (m, classes), or values as the labels, of the test rows.
    """
    from sklearn.preprocessing import OneHotEncoder

    encoder = OneHotEncoder(handle_unknown="ignore")
    known = encoder.fit_transform([[name] for name in train])
    asked = encoder.transform([[name] for name in test])
    return linear_scores(known, train_labels, asked, test_labels, task=task)


def kmer_difference_scores(
    train: Sequence[Alleles],
    train_labels: ArrayLike,
    test: Sequence[Alleles],
    test_labels: ArrayLike,
    *,
    task: Task,
    k: Sequence[int] = (1, 2, 3, 4, 5, 6),
) -> Scores:
    """Logistic (or ridge) regression on the k-mers that ALT has more or fewer of than REF.

    Features are the counts of all k-mers of one strand in ALT minus those in REF; k-mers with
    anything but A, C, G, T do not count. Of bases that both share beyond the longest k-mer, none
    matters.

    Args:
        train: The bases around each training variant (n,).
        train_labels: Their labels.
        test: The bases around each test variant (m,).
        test_labels: Labels of the test rows; only their shape and number of classes count.
        task: ``classification`` or ``regression``.
        k: Word lengths.

    Returns:
        Logits (m, classes), or values as the labels, of the test rows.
    """
    known, asked = _differences(train, k), _differences(test, k)
    return linear_scores(known, train_labels, asked, test_labels, task=task)


def _differences(alleles: Sequence[Alleles], k: Sequence[int]) -> Any:
    """Counts of k-mers, ALT minus REF (rows, k-mers), sparse."""
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(
        analyzer="char",
        ngram_range=(min(k), max(k)),
        vocabulary=["".join(word) for n in k for word in itertools.product("acgt", repeat=n)],
        dtype=np.float64,
    )
    ref, alt = (counter.transform([pair[i] for pair in alleles]) for i in (0, 1))
    return alt - ref


def mean_metrics(train_labels: ArrayLike, test_labels: ArrayLike) -> Metrics:
    """The metrics of a regression that always says the mean of train."""
    known, asked = (np.asarray(labels, dtype=np.float64) for labels in (train_labels, test_labels))
    said = np.broadcast_to(known.mean(axis=0), asked.shape)
    return regression_metrics(asked, said)
