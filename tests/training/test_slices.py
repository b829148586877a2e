"""Batches dealt out to processes that share windows."""

from datetime import timedelta

import pytest
import torch
from pydantic import ValidationError

from genolm.errors import UsageError
from genolm.training.pretrain import count_targets
from genolm.training.ranks import Ranks
from genolm.training.slices import SlicedExamples, join_group, slice_examples

WAYS, GROUPS, BATCH = 2, 3, 4


class Numbered:
    """Windows of six positions that are their sample's number; the first are cut into pieces."""

    def __len__(self):
        return 48

    def __getitems__(self, indices):
        rows = [{"input_ids": torch.arange(6) + 10 * index} for index in indices]
        return [
            {"input_ids": row["input_ids"].view(3, 2)} if index < 12 else row
            for row, index in zip(rows, indices, strict=True)
        ]

    def names(self, indices):
        return [f"window {index}" for index in indices]


def test_processes_get_the_slices_of_the_windows_that_groups_would_get_whole():
    whole = Numbered()
    sliced = SlicedExamples(whole, BATCH, WAYS)
    assert len(sliced) == WAYS * len(whole)
    assert sliced.names(range(2)) == ["window 0", "window 1"]
    processes = WAYS * GROUPS
    for turn in range(len(whole) // (BATCH * GROUPS)):
        for group in range(GROUPS):
            first = (turn * GROUPS + group) * BATCH
            wanted = whole.__getitems__(list(range(first, first + BATCH)))
            parts = []
            for place in range(WAYS):
                batch = turn * processes + group * WAYS + place  # as the trainer deals them out
                rows = list(range(batch * BATCH, (batch + 1) * BATCH))
                parts.append(sliced.__getitems__(rows))
            for row, item in enumerate(wanted):
                joined = torch.cat([part[row]["input_ids"] for part in parts], dim=-1)
                assert joined.equal(item["input_ids"])
    assert slice_examples(whole, BATCH, 1) is whole
    assert sliced[BATCH]["input_ids"].equal(whole.__getitems__([0])[0]["input_ids"][:, 1:])


def test_processes_that_cannot_be_divided_are_refused():
    with pytest.raises(UsageError, match="1 processes cannot share sequences by 2; start a mult"):
        join_group(0, 1, 2, timedelta(minutes=1))


def test_a_batch_is_dealt_out_by_groups():
    from genolm.parallel import SequenceGroup

    ranks = Ranks(1, 4, None, SequenceGroup(1, 2))
    assert (ranks.ways, ranks.shares, ranks.split(6)) == (2, 2, 3)
    assert (Ranks(1, 4).ways, Ranks(1, 4).shares) == (1, 4)


@pytest.mark.parametrize("train", [{"sequence_ranks": 3}, {"sequence_ranks": 8}])
def test_a_length_that_cannot_be_cut_evenly_is_refused(pretraining, train):
    stages = [{"length": 4, "steps": 1}]
    with pytest.raises(ValidationError, match=r"sequence_ranks: [38] must divide data.length, 32"):
        pretraining(train=train | {"length_stages": stages})


def test_alone_all_targets_are_counted_here():
    assert float(count_targets({"labels": torch.tensor([[7, -100, 8]])}, causal=True)) == 1
