"""Counted as one would count base by base."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from genolm.data.overlap import find_overlaps
from genolm.data.windows import from_regions
from genolm.genome.interval import Interval

REGIONS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 60), st.integers(5, 30)), max_size=5
)


def paint(intervals):
    painted = np.zeros((2, 100), dtype=bool)
    for one in intervals:
        painted["ab".index(one.chrom), one.start : one.end] = True
    return painted


@given(REGIONS, REGIONS, REGIONS)
def test_bases_and_windows_are_those_of_counting(train, valid, test):
    drawn = {"train": train, "valid": valid, "test": test}
    splits = {
        name: from_regions([Interval(c, start, start + size) for c, start, size in rows], 5, 5)
        for name, rows in drawn.items()
    }
    found = {overlap.parts: overlap for overlap in find_overlaps(splits)}
    reach = {name: paint(windows.reachable()) for name, windows in splits.items()}
    for pair in (("train", "valid"), ("train", "test"), ("valid", "test")):
        shared = reach[pair[0]] & reach[pair[1]]
        assert (pair in found) == shared.any()
        if pair in found:
            overlap = found[pair]
            assert overlap.bases == shared.sum()
            assert (shared & paint([overlap.first])).sum() == overlap.first.length
            for name, under, of in zip(pair, overlap.windows, overlap.of, strict=True):
                windows = [splits[name][i] for i in range(len(splits[name]))]
                assert of == len(windows)
                assert under == sum((shared & paint([one])).any() for one in windows)
