"""Regressions as one linear layer."""

import numpy as np
import pytest

from genolm.metrics.linear import fit_layer, logistic_regression, ridge

FEATURES = np.random.default_rng(0).normal(size=(60, 5))


@pytest.mark.parametrize("classes", [2, 3])
def test_a_layer_says_what_the_logistic_regression_says(classes):
    labels = np.argmax(FEATURES[:, :classes], axis=1)
    weights, biases = fit_layer(FEATURES, labels, classes, "classification")
    logits = FEATURES @ weights + biases
    found = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    wanted = logistic_regression().fit(FEATURES, labels).predict_proba(FEATURES)
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_a_class_of_no_row_is_unlikely_and_a_single_class_certain_enough():
    labels = (FEATURES[:, 0] > 0).astype(int) * 2
    weights, biases = fit_layer(FEATURES, labels, 3, "classification")
    assert weights[:, 1].tolist() == [0] * 5
    assert biases[1] == -np.log(61)
    single, offsets = fit_layer(FEATURES, np.ones(60, dtype=int), 2, "classification")
    assert not single.any()
    assert offsets.tolist() == [-np.log(61), 0]


def test_every_label_of_many_has_its_log_odds():
    labels = np.stack([FEATURES[:, 0] > 0, FEATURES[:, 1] > 0.5, np.ones(60)], axis=1).astype(int)
    weights, biases = fit_layer(FEATURES, labels, 3, "multilabel")
    odds = FEATURES @ weights + biases
    for at in (0, 1):
        fitted = logistic_regression().fit(FEATURES, labels[:, at])
        np.testing.assert_allclose(odds[:, at], fitted.decision_function(FEATURES), atol=1e-12)
    np.testing.assert_allclose(odds[:, 2], np.log(61))


@pytest.mark.parametrize("outputs", [1, 2])
def test_values_are_those_of_the_ridge_regression(outputs):
    values = FEATURES[:, :outputs] * 3 + 1
    given = values[:, 0] if outputs == 1 else values
    weights, biases = fit_layer(FEATURES, given, outputs, "regression")
    wanted = ridge().fit(FEATURES, values).predict(FEATURES)
    np.testing.assert_allclose(FEATURES @ weights + biases, wanted.reshape(60, outputs), atol=1e-12)
