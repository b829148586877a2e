import numpy as np
import pytest

from genolm.metrics.strata import stratified_metrics


def test_a_score_that_only_tells_strata_apart_says_nothing_within_them():
    labels = np.array([0.0, 1.0, 0.5, 10.0, 11.0, 10.5])
    scores = np.array([[0.0], [0.1], [0.2], [9.0], [9.2], [9.1]])
    strata = ["near"] * 3 + ["far"] * 3
    found = stratified_metrics(labels, scores, strata, task="regression")
    assert list(found) == ["far", "near", "mean"]
    assert found["far"]["spearman"] == pytest.approx(1.0)
    assert found["near"]["spearman"] == pytest.approx(0.5)
    assert found["mean"]["spearman"] == pytest.approx(0.75)
    assert (found["far"]["n"], found["mean"]["n"]) == (3, 2)


def test_a_stratum_without_a_figure_does_not_count_in_the_mean():
    labels = np.array([0, 1, 1, 1])
    logits = np.array([[2.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    found = stratified_metrics(labels, logits, ["a", "a", "b", "b"], task="classification")
    assert found["b"]["auroc"] is None
    assert found["mean"]["auroc"] == found["a"]["auroc"] == 1.0
