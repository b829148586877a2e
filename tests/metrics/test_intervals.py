import numpy as np
import pytest
from scipy import stats

from genolm.metrics.baselines import task_metrics
from genolm.metrics.intervals import Bootstrap, compare, metric_intervals
from genolm.metrics.weighted import (
    weighted_classification,
    weighted_multilabel,
    weighted_regression,
)

ROWS = 40


def exclusive(classes, *, ties):
    rng = np.random.default_rng(classes)
    labels = rng.integers(0, classes, ROWS)
    logits = rng.normal(size=(ROWS, classes)) + np.eye(classes)[labels]
    return "classification", labels, logits.round() if ties else logits


def independent():
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 2, (ROWS, 3))
    labels[:, 2] = 0
    labels[3, 2] = 1  # so rare that many draws have none
    return "multilabel", labels, (rng.normal(size=(ROWS, 3)) + labels).round(1)


def values(outputs, *, ties):
    rng = np.random.default_rng(6)
    truth = rng.normal(2, 1, (ROWS, outputs))
    said = truth + rng.normal(size=truth.shape)
    return "regression", *((truth.round(), said.round()) if ties else (truth, said))


CASES = {
    "two classes": exclusive(2, ties=False),
    "two classes, ties": exclusive(2, ties=True),
    "four classes": exclusive(4, ties=False),
    "four classes, ties": exclusive(4, ties=True),
    "several labels": independent(),
    "values": values(1, ties=False),
    "two values, ties": values(2, ties=True),
}
STATISTICS = {
    "classification": weighted_classification,
    "multilabel": weighted_multilabel,
    "regression": weighted_regression,
}


@pytest.mark.parametrize("case", CASES)
def test_a_weighted_metric_is_the_metric_of_repeated_rows(case):
    task, labels, scores = CASES[case]
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, ROWS, (30, ROWS))
    chosen[0] = np.arange(ROWS)
    chosen[1] = 7  # one row alone: most metrics are undefined
    chosen[2] = rng.choice([3, 4], ROWS)
    weights = np.stack([np.bincount(rows, minlength=ROWS) for rows in chosen], axis=1)
    found = STATISTICS[task](labels, scores)(weights.astype(np.float64))
    for draw, rows in enumerate(chosen):
        expected = task_metrics(labels[rows], scores[rows], task=task)
        got = {name: metric[draw] for name, metric in found.items()}
        undefined = {name: None if np.isnan(value) else value for name, value in got.items()}
        assert undefined == pytest.approx(expected, abs=1e-12)


def test_an_interval_is_scipys():
    task, labels, scores = CASES["two classes"]
    right = (scores.argmax(axis=1) == labels).astype(float)
    expected = stats.bootstrap(
        (right,), np.mean, n_resamples=20_000, method="percentile", rng=1
    ).confidence_interval
    how = Bootstrap(draws=20_000)
    found = metric_intervals(labels, scores, task=task, bootstrap=how)["accuracy"]
    assert found == pytest.approx(tuple(expected), abs=1 / ROWS)
    area = stats.bootstrap(
        (labels, scores[:, 1] - scores[:, 0]),
        lambda y, s: task_metrics(y, np.stack([0 * s, s], 1), task=task)["auroc"],
        n_resamples=300,
        method="percentile",
        paired=True,
        vectorized=False,
        rng=1,
    ).confidence_interval
    found = metric_intervals(labels, scores, task=task, bootstrap=how)["auroc"]
    assert found == pytest.approx(tuple(area), abs=0.03)


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held = {"accuracy": 0, "auroc": 0}
    shift, trials = 1.5, 300
    truth = {"accuracy": stats.norm.cdf(shift / 2), "auroc": stats.norm.cdf(shift / 2**0.5)}
    for trial in range(trials):
        labels = rng.integers(0, 2, 150)
        scores = rng.normal(size=150) + shift * (labels - 0.5)
        found = metric_intervals(
            labels,
            np.stack([-scores, scores], axis=1),
            task="classification",
            bootstrap=Bootstrap(draws=200, seed=trial),
        )
        for name in held:
            low, high = found[name]
            held[name] += low <= truth[name] <= high
    assert all(0.91 <= count / trials <= 0.98 for count in held.values()), held


def test_a_difference_is_judged_on_the_same_rows():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 300)
    scores = rng.normal(size=(300, 2)) + np.eye(2)[labels]
    near = scores + 0.1 * rng.normal(size=scores.shape)
    found = compare(labels, {"a": scores, "b": near, "c": scores}, task="classification")
    assert found.above.keys() == {"b", "c"}
    assert set(found.above["c"].values()) == {(0.0, 0.0)}
    low, high = found.above["b"]["auroc"]
    widths = [ends["auroc"][1] - ends["auroc"][0] for ends in found.intervals.values()]
    assert low < high
    assert high - low < min(widths) / 3
    alone = metric_intervals(labels, near, task="classification")
    assert found.intervals["b"] == alone


def test_what_the_set_leaves_undefined_has_no_interval():
    found = metric_intervals([1, 1, 1, 1], np.eye(2)[[1, 1, 0, 1]], task="classification")
    assert found["accuracy"] is not None
    assert (found["auroc"], found["auprc"], found["mcc"]) == (None, None, None)


def test_draws_of_one_class_are_left_out():
    labels = np.zeros(12, dtype=int)
    labels[0] = 1
    scores = np.stack([np.zeros(12), np.arange(12.0)], axis=1)
    found = metric_intervals(labels, scores, task="classification")
    assert found["auroc"] == (0.0, 0.0)  # in a third of the draws there is no positive row
    pair = metric_intervals([0, 1], np.eye(2), task="classification")
    assert pair["auroc"] is None  # half of the draws show one row twice
    assert pair["accuracy"] == (1.0, 1.0)


def test_stratified_draws_keep_the_shares_of_the_labels():
    labels = np.array([0] * 30 + [1] * 10)
    always_zero = np.tile([1.0, 0.0], (40, 1))
    kept = metric_intervals(
        labels, always_zero, task="classification", bootstrap=Bootstrap(stratified=True)
    )
    assert kept["accuracy"] == (0.75, 0.75)
    low, high = metric_intervals(labels, always_zero, task="classification")["accuracy"]
    assert low < 0.75 < high
    with pytest.raises(ValueError, match="exclusive classes"):
        metric_intervals([0.5, 1], [1, 2], task="regression", bootstrap=Bootstrap(stratified=True))


def test_the_seed_fixes_the_draws():
    task, labels, scores = CASES["four classes"]
    first, again, other = (
        metric_intervals(labels, scores, task=task, bootstrap=Bootstrap(seed=seed))
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_a_set_too_large_for_a_thousand_draws_gets_fewer_or_none():
    assert Bootstrap.within(6000, 2) == Bootstrap()
    fewer = Bootstrap.within(500_000, 2)
    assert fewer is not None
    assert 100 <= fewer.draws < 1000
    assert Bootstrap.within(200_000, 919) is None


@pytest.mark.parametrize("wrong", [{"draws": 0}, {"confidence": 1.0}], ids=str)
def test_impossible_bootstraps_are_refused(wrong):
    with pytest.raises(ValueError, match="one draw at least"):
        Bootstrap(**wrong)
