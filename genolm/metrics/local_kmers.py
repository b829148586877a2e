"""What the bases around a position say of it: a logistic regression on their k-mers, by offset."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genolm.metrics.baselines import LOG_ODDS_LIMIT

K: Final = 3
REACH: Final = 10
"""Offsets of the k-mers' middles, up to this many bases to either side."""

OTHER: Final = 4
"""What is no A, C, G or T, and what lies beyond the ends."""

_LETTERS: Final = np.full(256, OTHER, dtype=np.int64)
for _code, _pair in enumerate(("Aa", "Cc", "Gg", "TtUu")):
    _LETTERS[list(_pair.encode("ascii"))] = _code

_SEQUENCES_AT_ONCE: Final = 256


def local_kmer_scores(
    train_sequences: Sequence[str],
    train_labels: NDArray[np.int64],
    test_sequences: Sequence[str],
    *,
    classes: int,
    seed: int,
    max_train: int = 10_000,
) -> NDArray[np.float64]:
    """Score every base of the test sequences by the k-mers around it.

    Features are the k-mer at each offset. Train positions are drawn with equal numbers of each
    class, as far as there are so many, and weighed so that classes keep their shares.

    Args:
        train_sequences: DNA (n,).
        train_labels: Class id of every base, sequence after sequence (train bases,); negative where
            a base does not count.
        test_sequences: DNA (m,).
        classes: How many there are; two at least are in the train labels.
        seed: Of the train positions.
        max_train: Most train positions used.

    Returns:
        Log-probabilities (test bases, classes); unlikely as can be for classes without train
        positions.
    """
    from sklearn.linear_model import LogisticRegression

    chosen, weights = draw_balanced(train_labels, max_train, seed)
    words, starts = _words(train_sequences)
    learner = LogisticRegression(C=1.0, max_iter=1000)
    learner.fit(_features(words, starts[chosen]), train_labels[chosen], sample_weight=weights)
    scores = [
        _log_probabilities(learner, test_sequences[first : first + _SEQUENCES_AT_ONCE], classes)
        for first in range(0, len(test_sequences), _SEQUENCES_AT_ONCE)
    ]
    return np.concatenate(scores)


def draw_balanced(
    labels: NDArray[np.int64], most: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Draw as many positions of each class, as far as there are so many.

    Args:
        labels: Class ids (bases,); negative ones are not drawn.
        most: Positions in all.
        seed: Of the draw.

    Returns:
        The positions, and weights that are 1 on average and give classes their shares of labels.
    """
    generator = np.random.default_rng(seed)
    present = np.unique(labels[labels >= 0])
    positions, weights = [], []
    for one in present:
        own = np.flatnonzero(labels == one)
        kept = own
        if len(own) > most // len(present):
            kept = np.sort(generator.choice(own, most // len(present), replace=False))
        positions.append(kept)
        weights.append(np.full(len(kept), len(own) / len(kept)))
    weight = np.concatenate(weights)
    return np.concatenate(positions), weight / weight.mean()


def _words(sequences: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the k-mers of some sequences with margins, and where those around each base begin.

    Returns:
        Numbers of k-mers, sequence after sequence (k-mers,), and for every base the place in them
        of the first one around it (bases,).
    """
    margin = REACH + K // 2
    powers = (OTHER + 1) ** np.arange(K)
    words, starts, end = [], [], 0
    for sequence in sequences:
        bases = _LETTERS[np.frombuffer(sequence.encode("ascii"), dtype=np.uint8)]
        padded = np.pad(bases, margin, constant_values=OTHER)
        own = np.lib.stride_tricks.sliding_window_view(padded, K) @ powers
        words.append(own.astype(np.uint8))
        starts.append(end + np.arange(len(bases)))
        end += len(own)
    return np.concatenate(words), np.concatenate(starts)


def _features(words: NDArray[np.uint8], starts: NDArray[np.int64]) -> Any:
    """Return the k-mer at each offset as a sparse table of ones (positions, offsets * k-mers)."""
    from sklearn.preprocessing import OneHotEncoder

    offsets = np.arange(2 * REACH + 1)
    known = [np.arange((OTHER + 1) ** K)] * len(offsets)
    return OneHotEncoder(categories=known).fit_transform(words[starts[:, None] + offsets])


def _log_probabilities(learner: Any, sequences: Sequence[str], classes: int) -> NDArray[np.float64]:
    shares = learner.predict_proba(_features(*_words(sequences)))
    logits = np.full((len(shares), classes), -LOG_ODDS_LIMIT)
    logits[:, learner.classes_] = np.log(np.maximum(shares, np.exp(-LOG_ODDS_LIMIT)))
    return logits
