"""Pooling: the original's heads, masks, windows."""

from pathlib import Path

import numpy as np
import pytest
import torch

from genolm.heads.pooling import (
    before_first_pad,
    pool,
    segment_means,
    take_position,
    window_mean,
)

GOLDEN = Path(__file__).parents[1] / "fixtures" / "golden"


@pytest.fixture
def decoders():
    with np.load(GOLDEN / "sequence_decoders.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}


def score(pooled, arrays):
    return torch.nn.functional.linear(pooled, arrays["weight"], arrays["bias"])


@pytest.mark.parametrize("mode", ["last", "first", "pool", "sum"])
def test_pooling_is_the_originals(mode, decoders):
    pooled = pool(decoders["hidden"], "mean" if mode == "pool" else mode)
    assert torch.allclose(score(pooled, decoders), decoders[mode], atol=1e-6)


def test_a_mask_leaves_padding_out_of_the_mean(decoders):
    pooled = pool(decoders["hidden"], "mean", decoders["mask_right"])
    assert torch.allclose(score(pooled, decoders), decoders["pool_mask_right"], atol=1e-6)


def test_both_strands_are_pooled_and_their_scores_averaged(decoders):
    strands = decoders["hidden_conjoin"].unbind(-1)
    scores = torch.stack([score(pool(strand, "mean"), decoders) for strand in strands])
    assert torch.allclose(scores.mean(0), decoders["pool_conjoin"], atol=1e-6)


@pytest.mark.parametrize("strategy", ["mean", "sum", "max", "first", "last"])
def test_a_mask_is_the_same_as_cutting_the_sequence(strategy):
    hidden = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(2, 9, dtype=torch.long)
    mask[0, 2:7], mask[1, :4] = 1, 1
    cut = torch.cat([pool(hidden[:1, 2:7], strategy), pool(hidden[1:, :4], strategy)])
    assert torch.allclose(pool(hidden, strategy, mask), cut, atol=1e-6)
    assert torch.allclose(
        pool(hidden, strategy, torch.ones(2, 9)), pool(hidden, strategy), atol=1e-6
    )


def test_segments_are_the_means_of_equal_parts():
    hidden = torch.randn(2, 12, 3, generator=torch.Generator().manual_seed(0))
    wanted = torch.nn.functional.adaptive_avg_pool1d(hidden.transpose(1, 2), 4).transpose(1, 2)
    assert torch.allclose(segment_means(hidden, 4), wanted.flatten(1), atol=1e-6)
    assert torch.allclose(segment_means(hidden, 1), pool(hidden, "mean"), atol=1e-6)


def test_segments_of_a_masked_sequence_are_those_of_the_sequence_cut_out():
    hidden = torch.randn(3, 9, 4, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(3, 9, dtype=torch.long)
    mask[0, 2:7], mask[1, :2], hidden[0, 0] = 1, 1, torch.nan
    found = segment_means(hidden, 3, mask)
    assert torch.allclose(found[:1], segment_means(hidden[:1, 2:7], 3), atol=1e-6)
    # Two positions are in the first and the second of three parts; no position leaves zeros.
    assert torch.allclose(found[1].view(3, 4)[:2], hidden[1, :2], atol=1e-6)
    assert found[1, 8:].abs().max() == found[2].abs().max() == 0


def test_an_unknown_strategy_is_refused():
    with pytest.raises(ValueError, match="mean, sum, max, first, last"):
        pool(torch.zeros(1, 2, 3), "average")


def test_the_position_before_the_first_padding_is_found():
    ids = torch.tensor([[7, 8, 4, 4], [4, 4, 7, 8], [7, 8, 9, 10], [7, 4, 8, 4]])
    assert before_first_pad(ids, 4).tolist() == [1, -1, -1, 0]
    hidden = torch.arange(16.0).view(4, 4, 1)
    assert take_position(hidden, before_first_pad(ids, 4)).flatten().tolist() == [1, 7, 11, 12]


def test_windows_around_a_variant_are_the_originals():
    with np.load(GOLDEN / "vep_window.npz") as arrays:
        centre = torch.from_numpy(arrays["variant_idx"])
        window = int(arrays["window_bp"])
        means = [
            window_mean(torch.from_numpy(arrays[name]), centre, window) for name in ("ref", "alt")
        ]
        wanted = torch.from_numpy(arrays["concat_avg_ws"])
    assert torch.allclose(torch.cat(means, dim=-1), wanted, atol=1e-6)


def test_a_window_counts_the_centre_and_half_on_either_side():
    hidden = torch.arange(20.0).view(1, 20, 1)
    assert window_mean(hidden, torch.tensor([10]), 4).item() == 10
    assert window_mean(hidden, torch.tensor([0]), 4).item() == pytest.approx(
        (0 + 0 + 0 + 1 + 2) / 5
    )
    assert window_mean(hidden, torch.tensor([19]), 2).item() == pytest.approx((18 + 19 + 19) / 3)
