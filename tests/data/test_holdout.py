import pytest
import torch
from torch.utils.data import random_split

from genolm.data.holdout import split_holdout


@pytest.mark.filterwarnings("ignore:Length of split")
@pytest.mark.parametrize("count", [1, 7, 10, 101, 846])
@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.25, 1.0])
def test_the_rows_are_those_of_the_published_protocol(count, fraction):
    for seed in (1, 5):
        generator = torch.Generator().manual_seed(seed)
        held, kept = random_split(list(range(count)), [fraction, 1 - fraction], generator)
        assert split_holdout(count, fraction, seed) == (sorted(kept.indices), sorted(held.indices))


def test_every_row_is_on_one_side_and_the_seed_chooses():
    kept, held = split_holdout(100, 0.1, 1)
    assert sorted(kept + held) == list(range(100))
    assert len(held) == 10
    assert split_holdout(100, 0.1, 2)[1] != held


def test_each_class_gives_its_share():
    classes = ["a"] * 100 + ["b"] * 20 + ["c"] * 3
    kept, held = split_holdout(123, 0.1, 3, classes=classes)
    assert sorted(kept + held) == list(range(123))
    assert [sum(classes[row] == name for row in held) for name in "abc"] == [10, 2, 0]
    assert held != split_holdout(123, 0.1, 4, classes=classes)[1]


@pytest.mark.parametrize("fraction", [-0.1, 1.5])
def test_what_is_no_share_is_refused(fraction):
    with pytest.raises(ValueError, match="between 0 and 1"):
        split_holdout(10, fraction, 0)


def test_classes_must_be_of_all_rows():
    with pytest.raises(ValueError, match="10 rows but 3 classes"):
        split_holdout(10, 0.1, 0, classes=[1, 2, 3])
