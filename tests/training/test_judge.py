import numpy as np
import pytest
import torch
from torch import nn

from genolm.data.labelled_dataset import LabelledDataset
from genolm.training.judge import judge, predict_logits


class CountsAAndC(nn.Module):
    """Logits: how many A, how many C."""

    def forward(self, input_ids):
        logits = torch.stack([(input_ids == 7).sum(1), (input_ids == 8).sum(1)], dim=1).float()
        return type("Output", (), {"logits": logits})


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_logits_come_in_the_order_of_the_rows_whatever_the_batch(batch_size):
    sequences = ["A" * i + "C" * (7 - i) for i in range(8)]
    examples = LabelledDataset(sequences, length=9)
    logits = predict_logits(
        CountsAAndC(), examples, batch_size=batch_size, device=torch.device("cpu")
    )
    assert logits.tolist() == [[i, 7 - i] for i in range(8)]


def test_figures_are_those_of_the_whole_part():
    logits = np.log(np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]]))
    figures = judge(logits, np.array([0, 1, 0]), "classification")
    assert figures["n"] == 3
    assert figures["accuracy"] == pytest.approx(2 / 3)
    assert figures["loss"] == pytest.approx(-np.log([0.9, 0.8, 0.4]).mean())


def test_a_regression_is_judged_by_its_errors():
    figures = judge(np.array([[1.0], [3.0]]), np.array([1.0, 2.0], dtype=np.float32), "regression")
    assert figures["loss"] == figures["mse"] == 0.5


def test_several_labels_are_judged_one_by_one():
    logits = np.array([[5.0, -5.0], [5.0, 5.0]])
    figures = judge(logits, np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32), "multilabel")
    assert figures["accuracy"] == 0.75
