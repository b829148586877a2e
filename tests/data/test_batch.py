"""A batch is its samples, however it is looked at."""

import pytest
import torch

from genolm.data.batch import Batch, collate


def make(numbers, stages=()):
    labels = torch.arange(len(numbers) * 8).view(len(numbers), 8)
    return Batch({"input_ids": labels + 100, "labels": labels}, numbers, stages)


@pytest.mark.parametrize("stages", [(), ((10, 4),)], ids=["whole", "pieces"])
def test_joined_at_once_or_one_by_one_is_the_same(stages):
    batch = make([3, 9, 4], stages)
    at_once, one_by_one = collate(batch), collate(list(batch))
    assert at_once.keys() == one_by_one.keys() == {"input_ids", "labels"}
    assert all(torch.equal(at_once[name], one_by_one[name]) for name in at_once)
    assert at_once["labels"].shape == ((6, 4) if stages else (3, 8))


def test_it_is_a_sequence_of_its_samples():
    batch = make([3, 9, 4, 12], ((10, 4),))
    assert len(batch) == 4
    assert [item["labels"].shape for item in batch] == [(2, 4)] * 3 + [(8,)]
    assert torch.equal(batch[-1]["labels"], torch.arange(24, 32))
    assert torch.equal(collate(batch[1:3])["labels"], torch.arange(8, 24).view(4, 4))


def test_samples_of_several_stages_are_not_joined():
    with pytest.raises(ValueError, match="of stages that differ"):
        collate(make([3, 12], ((10, 4),)))
