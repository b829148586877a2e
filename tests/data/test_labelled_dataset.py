"""What a classifier is shown."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from genolm.data.labelled_dataset import LabelledDataset
from genolm.tokenization.vocabulary import PAD

SEQUENCES = ["ACGTN", "acg", "ACGTACGTAC", "uRy"]
LABELS = [0, 1, 1, 0]


def ids(dataset):
    return [dataset[i]["input_ids"].tolist() for i in range(len(dataset))]


def test_padding_is_on_the_left_and_the_right_end_is_cut():
    data = LabelledDataset(SEQUENCES, LABELS, length=6)
    assert ids(data) == [
        [PAD, 7, 8, 9, 10, 11],
        [PAD, PAD, PAD, 7, 8, 9],
        [7, 8, 9, 10, 7, 8],
        [PAD, PAD, PAD, 10, 11, 11],
    ]
    assert data[0]["input_ids"].dtype == torch.int64


def test_padding_may_be_on_the_right():
    data = LabelledDataset(["AC"], length=4, padding_side="right")
    assert ids(data) == [[7, 8, PAD, PAD]]


def test_both_strands_side_by_side():
    data = LabelledDataset(["AAC", "ACGTACGTAC"], length=5, conjoin=True)
    pair = data[0]["input_ids"]
    assert pair.shape == (5, 2)
    assert pair.T.tolist() == [[PAD, PAD, 7, 7, 8], [PAD, PAD, 9, 10, 10]]
    # The other strand of the whole sequence is what is cut, as in the original.
    assert data[1]["input_ids"].T.tolist() == [[7, 8, 9, 10, 7], [9, 10, 7, 8, 9]]


def test_about_half_are_turned_anew_in_every_epoch_and_the_rest_are_not():
    data = LabelledDataset(["AAC"] * 400, length=3, rc_augment=True, seed=1)
    epochs = []
    for epoch in (0, 1):
        data.set_epoch(epoch)
        epochs.append(np.array(ids(data)))
    for shown in epochs:
        turned = (shown == [9, 10, 10]).all(axis=1)
        assert (turned | (shown == [7, 7, 8]).all(axis=1)).all()
        assert 150 < turned.sum() < 250
    assert 100 < (epochs[0] != epochs[1]).any(axis=1).sum() < 300
    data.set_epoch(0)
    np.testing.assert_array_equal(np.array(ids(data)), epochs[0])


def test_the_seed_changes_the_strands():
    shown = [
        ids(LabelledDataset(["AAC"] * 50, length=3, rc_augment=True, seed=s)) for s in (0, 0, 1)
    ]
    assert shown[0] == shown[1] != shown[2]


def test_workers_that_live_on_follow_the_epoch():
    data = LabelledDataset(["AAC"] * 40, length=3, rc_augment=True, seed=1)
    loader = DataLoader(data, batch_size=10, num_workers=1, persistent_workers=True)
    for epoch in (0, 1, 2):
        data.set_epoch(epoch)
        batches = [batch["input_ids"] for batch in loader]
        assert torch.cat(batches).tolist() == ids(data)


@pytest.mark.parametrize(
    ("labels", "dtype", "shape"),
    [
        ([0, 2], torch.int64, (2,)),
        ([0.5, 2], torch.float32, (2,)),
        (np.array([[0, 1], [1, 1]]), torch.float32, (2, 2)),
        (np.array([1, 0], dtype=np.int32), torch.int64, (2,)),
    ],
)
def test_labels_have_the_type_their_loss_needs(labels, dtype, shape):
    data = LabelledDataset(["A", "C"], labels, length=2)
    stacked = torch.stack([data[0]["labels"], data[1]["labels"]])
    assert stacked.dtype == dtype
    assert stacked.shape == shape
    np.testing.assert_array_equal(stacked.numpy(), np.asarray(labels, dtype=np.float32))


def test_without_labels_there_are_only_inputs():
    assert list(LabelledDataset(["A"], length=1)[0]) == ["input_ids"]


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([0], {}, "2 sequences but 1 labels"),
        (None, {"length": 0}, "length must be"),
        (None, {"rc_augment": True, "conjoin": True}, "leave out rc_augment"),
        (None, {"padding_side": "middle"}, "padding_side must be"),
        (["a", "b"], {}, "labels must be numbers"),
    ],
)
def test_wrong_options_are_refused(labels, options, message):
    with pytest.raises(ValueError, match=message):
        LabelledDataset(["A", "C"], labels, **({"length": 3} | options))


@pytest.mark.parametrize("index", [-1, 4])
def test_rows_beyond_the_end_are_an_index_error(index):
    with pytest.raises(IndexError, match="numbered 0 to 3"):
        LabelledDataset(SEQUENCES, length=3)[index]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("options", [{}, {"conjoin": True}, {"rc_augment": True}])
def test_several_rows_at_once_are_the_same_rows(options, side):
    data = LabelledDataset(
        [*SEQUENCES, ""], [*LABELS, 1], length=4, seed=3, padding_side=side, **options
    )
    rows = [3, 4, 0, 2, 2, 1]
    batch = data.__getitems__(rows)
    assert len(batch) == len(rows)
    for place, row in enumerate(rows):
        for name, column in data[row].items():
            assert torch.equal(batch[place][name], column)
            assert torch.equal(batch.columns[name][place], column)
    with pytest.raises(IndexError, match="numbered 0 to 4"):
        data.__getitems__([0, 5])
