"""What each paper makes of the rows of the published human split."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genolm.data.bed_layout import lay_out
from genolm.data.splits import SPLITS, make_splits
from genolm.data.windows import from_regions
from genolm.errors import InputError
from genolm.genome.bed import read_split_bed
from genolm.genome.interval import Interval

CONTIG = Interval("chr1", 0, 3_000_000)
ROW = Interval("chr1", 928_386, 1_059_458, name="train")  # the published rows have 131,072 bases


def spans(stretches):
    return [(one.start, one.end) for one in stretches]


@pytest.mark.parametrize(
    ("layout", "length", "expected"),
    [
        ("centre", 1024, (993_410, 994_434)),
        ("centre", 131_072, (928_386, 1_059_458)),
        ("centre", 196_608, (895_618, 1_092_226)),
        ("hyenadna", 1024, (928_386, 929_410)),
        ("hyenadna", 160_000, (913_922, 1_073_922)),
        ("caduceus", 1024, (928_386, 928_386 + 2**20)),
        ("tile", 1024, (928_386, 1_059_458)),
        ("tile", 196_608, (895_618, 1_092_226)),
    ],
)
def test_a_row_of_the_published_split(layout, length, expected):
    assert spans(lay_out([ROW], [CONTIG], length, layout)) == [expected]


def test_caduceus_fills_a_mebibase_with_windows():
    pieces = lay_out([ROW, ROW], [CONTIG], 131_072, "caduceus")
    windows = from_regions(pieces, 131_072)
    assert len(windows) == 2 * 8
    assert windows.start[:8].tolist() == [ROW.start + 131_072 * i for i in range(8)]


@pytest.mark.parametrize("layout", ["centre", "hyenadna", "caduceus"])
def test_rows_stay_apart_and_inside_their_contig(layout):
    rows = [Interval("chr1", 0, 100), Interval("chr1", 50, 150), Interval("chr1", 2_999_900, 3e6)]
    pieces = lay_out(rows, [CONTIG], 1000, layout)
    assert len(pieces) == 3
    assert all(piece.start >= 0 and piece.end <= CONTIG.end for piece in pieces)
    assert pieces[0].start == 0
    assert pieces[2].end == CONTIG.end


@given(st.integers(0, 400), st.integers(1, 200), st.integers(1, 300))
def test_the_missing_bases_are_halved_and_the_odd_one_goes_right(start, size, length):
    row, wide = Interval("a", 1000 + start, 1000 + start + size), Interval("a", 0, 3000)
    (piece,) = lay_out([row], [wide], length, "hyenadna")
    assert piece.length == length
    left, right = row.start - piece.start, piece.end - row.end
    if length >= size:
        assert 0 <= right - left <= 1
    else:
        assert left == 0


def test_a_contig_shorter_than_the_window_is_counted_as_left_out():
    (piece,) = lay_out([Interval("a", 10, 20)], [Interval("a", 0, 50)], 80, "centre")
    assert from_regions([piece], 80).dropped == {"shorter than the window": 1}


@pytest.fixture
def write_bed(tmp_path):
    def write(*lines, name="human-sequences.bed"):
        path = tmp_path / name
        text = "".join(f"{line}\n" for line in lines).encode("ascii")
        path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
        return path

    return write


LINES = ("chr1\t0\t900\ttrain", "chr1\t5000\t5900\tvalid", "chr2\t100\t1000\ttest")


@pytest.mark.parametrize("name", ["a.bed", "a.bed.gz"])
@pytest.mark.parametrize("more", ["", "\t7", "\t7\t+\tfold3\t1"])
def test_the_published_layout_plain_or_gzip_with_further_columns(store, write_bed, name, more):
    bed = write_bed(*(line + more for line in LINES), name=name)
    rows = read_split_bed(bed, contigs=store.contigs)
    assert {split: spans(found) for split, found in rows.items()} == {
        "train": [(0, 900)],
        "valid": [(5000, 5900)],
        "test": [(100, 1000)],
    }
    # 0-based and half-open: 900 bases are nine windows of 100, beginning with the contig's first.
    splits = make_splits(store, 100, bed=bed, max_n_fraction=1)
    assert [len(splits[split]) for split in SPLITS] == [9, 9, 9]
    assert splits["train"].start[0] == 0


def test_every_row_is_one_window_that_does_not_move(store, write_bed):
    splits = make_splits(store, 100, bed=write_bed(*LINES), bed_windows="centre")
    assert [splits[split].start.tolist() for split in SPLITS] == [[400], [5400], [500]]
    assert all((part.low == part.start).all() for part in splits.values())
    assert all((part.high == part.start).all() for part in splits.values())


def test_rows_that_share_nothing_may_share_bases_once_they_are_extended(store, write_bed):
    lines = ("chr1\t0\t100\ttrain", "chr1\t150\t250\tvalid", "chr2\t0\t100\ttest")
    bed = write_bed(*lines)
    make_splits(store, 100, bed=bed, bed_windows="centre")
    with pytest.raises(InputError, match=r"train and valid share bases at chr1:125-150") as found:
        make_splits(store, 150, bed=bed, bed_windows="centre")
    assert "under 1 of 1 train windows and 1 of 1 valid windows" in str(found.value)
    assert "data.overlap=warn" in str(found.value)
    splits = make_splits(store, 150, bed=bed, bed_windows="centre", may_overlap=True)
    assert splits["valid"].start.tolist() == [125]


def test_rows_of_a_bed_without_splits_belong_to_the_part_of_their_centre(store, write_bed):
    bed = write_bed("chr1\t0\t900", "chr2\t100\t1000", "chr3\t0\t50", "chr3\t100\t200")
    named = {"train": ["chr1"], "valid": ["chr2"], "test": ["chr3"]}
    splits = make_splits(store, 100, bed=bed, bed_windows="hyenadna", **named)
    assert [splits[split].start.tolist() for split in SPLITS] == [[0], [100], [0, 100]]
