import pytest

from genolm.genome import Interval


@pytest.mark.parametrize("start", [0, 1, 10])
@pytest.mark.parametrize("length", [0, 1, 2, 3, 10])
def test_resizing_to_its_own_length_changes_nothing(start, length):
    interval = Interval("1", start, start + length, "-", "x")
    assert interval.resize(length) == interval


def test_resizing_keeps_the_centre_base_in_the_middle():
    assert Interval("1", 100, 101).resize(11) == Interval("1", 95, 106)
    assert Interval("1", 0, 1).resize(4) == Interval("1", -2, 2)


def test_shift_moves_both_ends_and_keeps_strand_and_name():
    assert Interval("1", 5, 9, "-", "x").shift(-3) == Interval("1", 2, 6, "-", "x")


@pytest.mark.parametrize(
    ("start", "end", "expected"), [(0, 10, True), (-1, 5, False), (5, 11, False), (10, 10, True)]
)
def test_within_means_every_base_lies_on_the_contig(start, end, expected):
    assert Interval("1", start, end).within(10) is expected


def test_an_interval_cannot_end_before_it_starts():
    with pytest.raises(ValueError, match=r"1:5-4\(\+\) ends before it starts"):
        Interval("1", 5, 4)


def test_a_strand_is_plus_or_minus():
    with pytest.raises(ValueError, match=r"not '\.'"):
        Interval("1", 0, 1, ".")
