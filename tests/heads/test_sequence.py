"""Both strands of a batch, stacked and averaged."""

import torch

from genolm.heads.sequence import score_strands, stack_conjoined


def test_strands_are_stacked_forward_first():
    ids = torch.tensor([[[1, 5], [2, 6]], [[3, 7], [4, 8]]])
    assert stack_conjoined(ids).tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]


def test_logits_of_both_strands_are_averaged_per_sequence():
    pooled = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 5.0]])
    identity = torch.nn.Identity()
    assert score_strands(pooled, identity, both=True).tolist() == [[2.0, 0.0], [0.0, 3.0]]
    assert score_strands(pooled, identity, both=False).equal(pooled)
