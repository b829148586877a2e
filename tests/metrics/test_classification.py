import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from genolm.metrics.classification import classification_metrics


def logits_of(probabilities):
    return np.log(np.asarray(probabilities))


def random_case(seed, rows, classes):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, rows)
    logits = rng.normal(size=(rows, classes)) + 1.5 * np.eye(classes)[labels]
    return labels, logits


def softmax(logits):
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def test_binary_metrics_on_a_case_done_by_hand():
    labels = [1, 1, 1, 0, 0]
    scores = logits_of([[0.1, 0.9], [0.4, 0.6], [0.8, 0.2], [0.7, 0.3], [0.3, 0.7]])
    found = classification_metrics(labels, scores)
    # TP 2, FN 1, FP 1, TN 1; of 6 pairs 0.9 wins 2, 0.6 wins 1, 0.2 wins 0.
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["f1"] == pytest.approx(4 / 6)
    assert found["mcc"] == pytest.approx((2 * 1 - 1 * 1) / np.sqrt(3 * 3 * 2 * 2))
    assert found["auroc"] == pytest.approx(3 / 6)
    assert found["auprc"] == pytest.approx((1 / 1 + 2 / 3 + 3 / 5) / 3)


def test_binary_positive_class_is_index_one():
    found = classification_metrics([0, 0, 0, 1], logits_of([[0.9, 0.1]] * 3 + [[0.6, 0.4]]))
    assert found["f1"] == 0.0
    assert found["auroc"] == found["auprc"] == 1.0


def test_multiclass_is_macro_one_against_the_rest():
    labels, logits = random_case(1, 300, 4)
    found = classification_metrics(labels, logits)
    probabilities, predicted = softmax(logits), logits.argmax(axis=1)
    onehot = np.eye(4, dtype=int)[labels]
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(labels, predicted),
        "mcc": sklearn_metrics.matthews_corrcoef(labels, predicted),
        "auroc": sklearn_metrics.roc_auc_score(labels, probabilities, multi_class="ovr"),
        "auprc": sklearn_metrics.average_precision_score(onehot, probabilities, average="macro"),
        "f1": sklearn_metrics.f1_score(labels, predicted, average="macro"),
    }
    assert found == pytest.approx(expected, abs=1e-12)


def test_logits_and_log_probabilities_give_the_same_metrics():
    labels, logits = random_case(2, 200, 3)
    shifted = np.log(softmax(logits))
    assert classification_metrics(labels, logits) == pytest.approx(
        classification_metrics(labels, shifted)
    )


def test_confident_logits_keep_their_ranks():
    # Softmax rounds all of these to probability 1.
    scores = np.array([[0.0, 40.0], [0.0, 50.0], [0.0, 60.0], [0.0, 70.0]])
    assert classification_metrics([0, 0, 1, 1], scores)["auroc"] == 1.0


def test_a_class_absent_from_the_labels_is_left_out_of_the_macro_averages():
    labels, logits = random_case(3, 200, 3)
    wider = np.column_stack([logits, np.full(len(labels), -50.0)])
    assert classification_metrics(labels, wider) == pytest.approx(
        classification_metrics(labels, logits)
    )


def test_an_absent_class_that_is_predicted_counts_in_macro_f1():
    scores = 5.0 * np.eye(3)[[0, 1, 2]]
    assert classification_metrics([0, 1, 1], scores)["f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)


def test_one_class_in_the_labels_leaves_ranking_metrics_undefined():
    found = classification_metrics([0, 0, 0], [[2.0, 1.0], [1.0, 2.0], [2.0, 1.0]])
    assert found == {
        "accuracy": pytest.approx(2 / 3),
        "mcc": None,
        "auroc": None,
        "auprc": None,
        "f1": 0.0,
    }
    assert classification_metrics([0, 0], [[2.0, 1.0]] * 2)["f1"] is None


def test_a_constant_answer_has_mcc_zero_and_auroc_half():
    found = classification_metrics([0, 1, 1, 0], [[0.0, 1.0]] * 4)
    assert (found["mcc"], found["auroc"], found["auprc"]) == (0.0, 0.5, 0.5)


def test_multilabel_is_the_mean_over_labels_at_logit_zero():
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 2, (120, 3))
    logits = rng.normal(size=labels.shape) + labels
    found = classification_metrics(labels, logits, task="multilabel")
    said = logits > 0
    expected = {
        "accuracy": (said == labels).mean(),
        "mcc": np.mean(
            [sklearn_metrics.matthews_corrcoef(labels[:, i], said[:, i]) for i in range(3)]
        ),
        "auroc": sklearn_metrics.roc_auc_score(labels, logits, average="macro"),
        "auprc": sklearn_metrics.average_precision_score(labels, logits, average="macro"),
        "f1": sklearn_metrics.f1_score(labels, said, average="macro"),
    }
    assert found == pytest.approx(expected, abs=1e-12)


def test_multilabel_leaves_out_a_label_that_never_varies():
    labels = np.array([[0, 1], [1, 1], [0, 1], [1, 1]])
    scores = np.array([[-1.0, 1.0], [1.0, 1.0], [-2.0, 1.0], [2.0, 1.0]])
    found = classification_metrics(labels, scores, task="multilabel")
    assert (found["auroc"], found["auprc"], found["mcc"]) == (1.0, 1.0, 1.0)


def test_metrics_are_of_the_whole_set_and_not_a_mean_of_batches():
    labels, logits = random_case(5, 64, 2)
    batches = [
        classification_metrics(labels[i : i + 16], logits[i : i + 16])["auroc"]
        for i in range(0, 64, 16)
    ]
    whole = classification_metrics(labels, logits)["auroc"]
    assert abs(whole - np.mean(batches)) > 1e-4


@pytest.mark.parametrize(
    ("labels", "scores", "task", "message"),
    [
        ([0, 1], [[0.0, np.nan], [0.0, 1.0]], "classification", "NaN or infinity"),
        ([0, 2], [[0.0, 1.0], [0.0, 1.0]], "classification", "from 0 to 1"),
        ([0, -100], [[0.0, 1.0], [0.0, 1.0]], "classification", "from 0 to 1"),
        ([0.5, 1], [[0.0, 1.0], [0.0, 1.0]], "classification", "whole numbers"),
        ([0], [[0.0, 1.0], [0.0, 1.0]], "classification", r"shape \(1,\)"),
        ([0, 0], [[0.0], [1.0]], "classification", "one class"),
        ([], np.zeros((0, 2)), "classification", "not empty"),
        ([0, 1], [0.0, 1.0], "classification", r"\(rows, classes\)"),
        ([[0, 3]], [[0.0, 1.0]], "multilabel", "from 0 to 1"),
        ([0], [[0.0, 1.0]], "ranking", "choose classification or multilabel"),
    ],
)
def test_what_cannot_be_judged_is_an_error(labels, scores, task, message):
    with pytest.raises(ValueError, match=message):
        classification_metrics(labels, scores, task=task)
