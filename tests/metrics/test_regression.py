import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mean_squared_error, r2_score

from genolm.metrics.regression import regression_metrics


def test_metrics_agree_with_scipy_and_sklearn_ties_included():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 8, 200).astype(float)
    said = np.round(truth + rng.normal(size=200), 0)
    assert regression_metrics(truth, said) == pytest.approx(
        {
            "mse": mean_squared_error(truth, said),
            "r2": r2_score(truth, said),
            "pearson": stats.pearsonr(truth, said).statistic,
            "spearman": stats.spearmanr(truth, said).statistic,
        },
        abs=1e-12,
    )


def test_spearman_sees_order_only():
    found = regression_metrics([1.0, 2.0, 3.0, 4.0], [1.0, 10.0, 100.0, 1000.0])
    assert found["spearman"] == pytest.approx(1.0)
    assert found["pearson"] < 0.95


def test_predicting_the_mean_has_r2_zero_and_no_correlation():
    assert regression_metrics([1.0, 2.0, 3.0], [2.0] * 3) == {
        "mse": pytest.approx(2 / 3),
        "r2": 0.0,
        "pearson": None,
        "spearman": None,
    }


def test_outputs_are_averaged_and_constant_ones_left_out():
    truth = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]])
    found = regression_metrics(truth, truth)
    assert found == {"mse": 0.0, "r2": 1.0, "pearson": pytest.approx(1), "spearman": 1.0}


def test_a_column_of_predictions_fits_a_row_of_labels():
    assert regression_metrics([1.0, 2.0], [[1.0], [2.0]])["mse"] == 0.0


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([1.0, 2.0], [1.0], "must fit"),
        ([], [], "not empty"),
        ([1.0, 2.0], [1.0, np.inf], "NaN or infinity"),
        ([1.0, np.nan], [1.0, 2.0], "NaN or infinity"),
    ],
)
def test_what_cannot_be_judged_is_an_error(labels, predictions, message):
    with pytest.raises(ValueError, match=message):
        regression_metrics(labels, predictions)
