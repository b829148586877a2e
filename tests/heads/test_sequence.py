"""Both strands of a batch, stacked and averaged."""

import torch

from genolm.heads.sequence import score_strands, stack_conjoined, with_other_strand


def test_strands_are_stacked_forward_first():
    ids = torch.tensor([[[1, 5], [2, 6]], [[3, 7], [4, 8]]])
    assert stack_conjoined(ids).tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]


def test_logits_of_both_strands_are_averaged_per_sequence():
    pooled = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 5.0]])
    identity = torch.nn.Identity()
    assert score_strands(pooled, identity, both=True).tolist() == [[2.0, 0.0], [0.0, 3.0]]
    assert score_strands(pooled, identity, both=False).equal(pooled)


def test_the_other_strand_is_made_between_padding_and_special_tokens():
    pad, separator, mask, unknown = 4, 1, 3, 11
    given = [
        [7, 8, 9, 9, 10, unknown, 10],
        [pad, pad, 7, 7, 8, mask, 9],
        [0, 7, 10, 8, separator, pad, pad],
        [pad, pad, pad, pad, pad, pad, pad],
    ]
    wanted = [
        [7, unknown, 7, 8, 8, 9, 10],
        [pad, pad, 8, mask, 9, 10, 10],
        [0, 9, 7, 10, separator, pad, pad],
        [pad, pad, pad, pad, pad, pad, pad],
    ]
    found = with_other_strand(torch.tensor(given))
    assert found[..., 0].tolist() == given
    assert found[..., 1].tolist() == wanted
