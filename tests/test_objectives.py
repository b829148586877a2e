"""Losses: what counts, weights, shifts, problem types."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from genolm.objectives import (
    causal_lm_loss,
    classification_loss,
    guess_problem_type,
    masked_lm_loss,
)


@pytest.fixture
def logits():
    return torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def labels():
    return torch.tensor([[7, -100, 8, 4, 9], [4, 4, 10, -100, 11]])


def test_only_labelled_positions_count(logits, labels):
    counted = (labels >= 0) & (labels != 4)
    wanted = cross_entropy(logits[counted], labels[counted])
    assert torch.allclose(masked_lm_loss(logits, labels, pad_token_id=4), wanted)
    with_pads = labels >= 0
    wanted = cross_entropy(logits[with_pads], labels[with_pads])
    assert torch.allclose(masked_lm_loss(logits, labels), wanted)


def test_a_weighted_loss_is_the_weighted_mean_of_what_counts(logits, labels):
    weights = torch.rand(2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    counted = (labels >= 0) & (labels != 4)
    losses = cross_entropy(logits[counted], labels[counted], reduction="none")
    wanted = (losses * weights[counted]).sum() / weights[counted].sum()
    loss = masked_lm_loss(logits, labels, pad_token_id=4, weights=weights)
    assert torch.allclose(loss, wanted)
    even = masked_lm_loss(logits, labels, pad_token_id=4, weights=torch.full((2, 5), 3.0))
    assert torch.allclose(even, masked_lm_loss(logits, labels, pad_token_id=4))


def test_a_batch_in_which_nothing_counts_costs_nothing(logits):
    nothing = torch.full((2, 5), -100)
    for weights in (None, torch.ones(2, 5)):
        loss = masked_lm_loss(logits.requires_grad_(), nothing, weights=weights)
        assert loss.item() == 0
        loss.backward()
        assert not logits.grad.any()


def test_a_causal_loss_compares_each_position_with_its_successor(logits):
    ids = torch.tensor([[7, 8, 9, 10, 4], [10, 9, 8, -100, 7]])
    targets, scores = ids[:, 1:], logits[:, :-1]
    counted = targets >= 0
    wanted = cross_entropy(scores[counted], targets[counted])
    assert torch.allclose(causal_lm_loss(logits, ids), wanted)


def test_losses_are_in_nats():
    even = torch.zeros(1, 3, 4)
    assert masked_lm_loss(even, torch.ones(1, 3, dtype=torch.long)).item() == pytest.approx(
        math.log(4)
    )


def test_the_problem_is_told_by_outputs_and_labels():
    classes, values = torch.tensor([0, 1]), torch.tensor([0.5, 1.5])
    assert guess_problem_type(1, values) == "regression"
    assert guess_problem_type(1, classes) == "regression"
    assert guess_problem_type(3, classes) == "single_label_classification"
    assert guess_problem_type(3, torch.zeros(2, 3)) == "multi_label_classification"


def test_each_problem_has_its_loss():
    scores = torch.tensor([[1.0, -1.0], [0.5, 2.0]])
    classes = torch.tensor([0, 1])
    assert torch.allclose(classification_loss(scores, classes), cross_entropy(scores, classes))
    several = torch.tensor([[1, 0], [1, 1]])
    loss = classification_loss(scores, several, "multi_label_classification")
    wanted = -torch.log(torch.sigmoid(torch.tensor([1.0, 1.0, 0.5, 2.0]))).mean()
    assert torch.allclose(loss, wanted)
    loss = classification_loss(scores[:, :1], torch.tensor([0, 1]), "regression")
    assert loss.item() == pytest.approx((1 + 0.25) / 2)
    with pytest.raises(ValueError, match="multi_label_classification"):
        classification_loss(scores, classes, "ranking")
