import numpy as np
import pytest

from genolm.metrics.baselines import task_metrics
from genolm.metrics.variant_baselines import (
    category_scores,
    kmer_difference_scores,
    mean_metrics,
)


def test_categories_that_decide_the_label_are_learned_and_unknown_ones_are_no_error():
    train = ["A[C>T]G", "T[T>A]T"] * 20
    labels = np.array([0, 1] * 20)
    scores = category_scores(
        train, labels, ["A[C>T]G", "T[T>A]T", "new"], np.array([0, 1, 1]), task="classification"
    )
    assert scores.shape == (3, 2)
    assert scores[:2].argmax(axis=1).tolist() == [0, 1]


def test_a_gained_kmer_is_learned_and_a_lost_one_is_its_opposite():
    rng = np.random.default_rng(0)

    def around():
        return "".join(rng.choice(list("ACGT"), 5)), "".join(rng.choice(list("ACGT"), 5))

    rows, values = [], []
    for i in range(60):
        left, right = around()
        pair = (left + "A" + right, left + "C" + right)
        rows.append(pair if i % 2 else pair[::-1])
        values.append(1.0 if i % 2 else -1.0)
    truth = np.array(values, dtype=np.float32)
    scores = kmer_difference_scores(rows[:40], truth[:40], rows[40:], truth[40:], task="regression")
    assert task_metrics(truth[40:], scores, task="regression")["pearson"] > 0.95
    swapped = [pair[::-1] for pair in rows[40:]]
    back = kmer_difference_scores(rows[:40], truth[:40], swapped, truth[40:], task="regression")
    # Ridge centres the features, so that an exchange is odd around the mean of train.
    assert np.corrcoef(scores, back)[0, 1] < -0.99


def test_the_mean_explains_nothing():
    figures = mean_metrics(np.array([1.0, 3.0]), np.array([2.0, 4.0, 0.0]))
    assert figures["mse"] == pytest.approx(8 / 3)
    assert figures["r2"] == pytest.approx(0.0)
    assert figures["spearman"] is None
