"""Windows cover what they should, and say what they left out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genolm.data.genome_store import open_store
from genolm.data.windows import MANY_N, SHORT, from_regions, make_windows
from genolm.errors import InputError
from genolm.genome.interval import Interval


def spans(windows):
    return [(w.chrom, w.start, w.end) for w in (windows[i] for i in range(len(windows)))]


@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    length=st.integers(1, 20),
    stride=st.integers(1, 25),
)
def test_windows_are_every_stride_th_start_that_fits(sizes, length, stride):
    regions = [Interval(f"c{i}", i, i + size) for i, size in enumerate(sizes)]
    expected = [
        (r.chrom, s, s + length)
        for r in regions
        for s in range(r.start, r.end, stride)
        if s + length <= r.end
    ]
    windows = from_regions(regions, length, stride)
    assert spans(windows) == expected
    assert windows.dropped.get(SHORT, 0) == sum(size < length for size in sizes)


def test_contigs_shorter_than_the_window_are_counted_while_others_remain(store):
    windows = make_windows(store.contigs, 1000)
    assert windows.dropped == {SHORT: 1}
    assert {w[0] for w in spans(windows)} == {"chr1", "chr2", "chr3"}


def test_no_contig_as_long_as_the_window_is_an_error_that_names_the_longest(store):
    with pytest.raises(InputError, match=r"the longest is chr1 with 6,001; choose a smaller"):
        make_windows(store.contigs, 7000)


@pytest.mark.parametrize("sizes", [(0, None), (5, 0), (-3, 1)])
def test_sizes_that_are_not_positive_are_refused(sizes):
    with pytest.raises(ValueError, match="at least 1"):
        make_windows({"a": 100}, *sizes)


@pytest.mark.parametrize("limit", [0.0, 0.1, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("stride", [7, 64])
def test_the_n_limit_agrees_with_counting_letters(store, contigs, limit, stride):
    windows = make_windows(store.contigs, 64, stride)
    kept = windows.filter_by_n(store, limit)
    # Other IUPAC letters are N too by the time they are windows.
    shares = [
        sum(c not in "ACGTU" for c in contigs[chrom][start:end].upper()) / 64
        for chrom, start, end in spans(windows)
    ]
    expected = [span for span, share in zip(spans(windows), shares, strict=True) if share <= limit]
    assert spans(kept) == expected
    assert kept.dropped.get(MANY_N, 0) == len(windows) - len(kept)


def test_an_empty_set_says_what_was_left_out_and_why(make_fasta):
    store = open_store(make_fasta({"a": "N" * 100 + "ACGT", "b": "ACG"}))
    windows = make_windows(store.contigs, 50).filter_by_n(store, 0.1)
    reasons = "1 shorter than the window, 2 with too many N"
    with pytest.raises(InputError, match=rf"no window of 50 bases left for train .*{reasons}"):
        windows.require("train")


def test_merged_stretches_cover_the_windows_and_no_more():
    windows = from_regions([Interval("b", 50, 81), Interval("a", 0, 25), Interval("a", 20, 40)], 10)
    assert [str(i) for i in windows.covered()] == ["b:50-80(+)", "a:0-40(+)"]
    apart = from_regions([Interval("a", 0, 35)], 10, 20)
    assert [str(i) for i in apart.covered()] == ["a:0-10(+)", "a:20-30(+)"]
    assert [str(i) for i in apart.reachable()] == ["a:0-35(+)"]


@given(st.integers(1, 50), st.integers(1, 60))
def test_spread_keeps_the_first_and_even_gaps(total, count):
    windows = from_regions([Interval("a", 0, total)], 1)
    starts = windows.spread(count).start
    assert len(starts) == min(total, count)
    assert starts[0] == 0
    gaps = np.diff(starts)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1
    assert total - starts[-1] >= (gaps.min() if len(gaps) else 1)
