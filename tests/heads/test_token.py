"""Scores of every position, and of both strands of a base."""

import pytest
import torch

from genolm.heads.token import average_strands, score_positions
from genolm.modules.linear import Linear


def test_a_stream_is_scored_on_both_strands():
    torch.manual_seed(0)
    score = Linear(4, 3, bias=False, full_precision=True)
    stream = torch.randn(2, 5, 8)
    forward, backward = stream.chunk(2, dim=-1)
    wanted = (score(forward) + score(backward.flip(-1))) / 2
    assert torch.allclose(score_positions(stream, score), wanted, atol=1e-6)
    assert score_positions(forward, score).equal(score(forward))
    assert score_positions(stream.bfloat16(), score.bfloat16()).dtype == torch.float32


def test_scores_meet_at_the_same_base_whatever_the_padding():
    first = torch.tensor([[0.0, 0.0, 1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0, 5.0]])
    second = torch.tensor([[0.0, 30.0, 20.0, 10.0, 0.0], [50.0, 40.0, 30.0, 20.0, 10.0]])
    scores = torch.cat([first, second])[..., None].requires_grad_()
    mean = average_strands(scores, scores[..., 0] != 0)
    assert mean[..., 0].tolist() == [[0, 0, 5.5, 11, 16.5], [5.5, 11, 16.5, 22, 27.5]]
    mean.sum().backward()
    assert scores.grad[..., 0].tolist()[2] == [0, 0.5, 0.5, 0.5, 0]
    with pytest.raises(ValueError, match="row 0 have 2 and 3 tokens"):
        average_strands(scores, torch.cat([first, second]) > 1.5)
