"""No base is on both sides of a split."""

import numpy as np
import pytest

from genolm.data.genome_store import open_store
from genolm.data.overlap import check_disjoint
from genolm.data.splits import SPLITS, make_splits, resolve_chroms
from genolm.data.windows import from_regions
from genolm.errors import InputError, UsageError
from genolm.genome.interval import Interval


@pytest.fixture
def write_bed(tmp_path):
    def write(*rows):
        path = tmp_path / "regions.bed"
        path.write_text("\n".join("\t".join(map(str, row)) for row in rows) + "\n", "ascii")
        return path

    return write


def bases_of(store, windows):
    seen = np.zeros(sum(store.contigs.values()), dtype=int)
    for place in windows.places(store).tolist():
        seen[place : place + windows.length] += 1
    return seen


def chroms_of(windows):
    return {windows.contigs[number] for number in windows.chrom}


def test_contigs_by_name(store):
    splits = make_splits(store, 100, train=["chr1"], valid=["chr2"], test=["chr3"])
    assert [chroms_of(splits[s]) for s in SPLITS] == [{"chr1"}, {"chr2"}, {"chr3"}]


def test_names_may_be_numbers_or_lack_chr(store):
    assert resolve_chroms([1, "2", "chr3", "MT"], store.contigs) == ["chr1", "chr2", "chr3", "chrM"]


def test_train_is_the_rest_when_it_is_not_named(store):
    splits = make_splits(store, 80, valid=["3"], test=[2])
    assert chroms_of(splits["train"]) == {"chr1", "chrM"}


@pytest.mark.parametrize(
    "named", [{}, {"train": ["chr1", "chr2"]}, {"valid": ["chr3"]}, {"test": ["chr3"]}]
)
def test_what_is_not_named_is_the_last_tenth_of_each_train_contig(store, contigs, named):
    splits = make_splits(store, 10, max_n_fraction=1.0, **named)
    covered = {split: bases_of(store, splits[split]) for split in SPLITS}
    assert all(
        (covered[a] * covered[b] == 0).all()
        for a, b in (("train", "valid"), ("train", "test"), ("valid", "test"))
    )
    in_order = [s for s in ("train", "valid", "test") if s not in named or s == "train"]
    last = max(w.end for w in splits[in_order[-1]].covered() if w.chrom == "chr1")
    assert last > len(contigs["chr1"]) - 10
    for split in in_order[1:]:
        stretch = next(w for w in splits[split].covered() if w.chrom == "chr1")
        assert abs(stretch.length - len(contigs["chr1"]) // 10) < 10
    starts = [min(w.start for w in splits[s].covered() if w.chrom == "chr1") for s in in_order]
    assert starts == sorted(starts)


def test_stride_is_for_training_alone(store):
    splits = make_splits(
        store, 100, stride=50, train=["chr2"], valid=["chr3"], test=["chr1"], max_n_fraction=1
    )
    assert bases_of(store, splits["train"]).max() == 2
    assert bases_of(store, splits["valid"]).max() == bases_of(store, splits["test"]).max() == 1


def test_an_unknown_contig_is_named_with_those_there_are(store):
    with pytest.raises(
        UsageError, match=r"data\.valid: the genome has no contig 'chr9'; it has chr1, chr2, chr3"
    ):
        make_splits(store, 100, train=["chr1"], valid=["chr9"])


def test_a_long_list_of_contigs_is_cut():
    contigs = {f"scaffold_{i}": 10 for i in range(500)}
    with pytest.raises(UsageError, match=r"scaffold_19 and 480 more$"):
        resolve_chroms(["chrI"], contigs)


@pytest.mark.parametrize(
    "named",
    [
        {"train": ["chr1", "chr2"], "test": ["2"]},
        {"valid": ["chr3"], "test": ["3"]},
        {"train": ["chr1", "1"]},
    ],
)
def test_a_contig_is_never_in_two_places(store, named):
    with pytest.raises(UsageError, match=r"is already in data\.|named twice"):
        make_splits(store, 100, **named)


def test_a_split_without_a_window_is_an_error_that_names_it(store):
    with pytest.raises(InputError, match=r"no window of 500 bases left for test .*1 shorter"):
        make_splits(store, 500, train=["chr1"], valid=["chr2"], test=["chrM"])


def test_windows_of_n_are_left_out(store):
    splits = make_splits(
        store, 100, train=["chr1"], valid=["chr3"], test=["chr2"], max_n_fraction=1
    )
    fewer = make_splits(
        store, 100, train=["chr1"], valid=["chr3"], test=["chr2"], max_n_fraction=0.9
    )
    assert len(splits["train"]) == 60
    assert len(fewer["train"]) == 50
    assert fewer["train"].dropped == {"with too many N": 10}


def test_a_split_column_makes_the_split(store, write_bed):
    bed = write_bed(
        ("1", 0, 300, "train"),
        ("chr1", 250, 500, "train"),
        ("2", 0, 250, "valid"),
        ("chr2", 250, 350, "test"),
    )
    splits = make_splits(store, 100, bed=bed, max_n_fraction=1)
    assert splits["train"].start.tolist() == [0, 100, 200, 300, 400]
    assert splits["valid"].start.tolist() == [0, 100]
    assert splits["test"].start.tolist() == [250]


def test_a_split_column_and_named_contigs_are_not_mixed(store, write_bed):
    bed = write_bed(("chr1", 0, 300, "train"), ("chr2", 0, 300, "valid"))
    with pytest.raises(UsageError, match=r"leave out data\.train and data\.test"):
        make_splits(store, 100, bed=bed, train=["chr1"], test=["chr2"])


def test_a_misspelt_split_is_refused(store, write_bed):
    bed = write_bed(("chr1", 0, 300, "train"), ("chr2", 0, 300, "vaild"))
    with pytest.raises(InputError, match=r"called 'vaild'; they are train, valid, test"):
        make_splits(store, 100, bed=bed)


def test_rows_that_share_bases_across_splits_are_refused(store, write_bed):
    bed = write_bed(
        ("chr1", 0, 300, "train"), ("chr1", 299, 600, "valid"), ("chr2", 0, 300, "test")
    )
    with pytest.raises(InputError, match=r"train and valid share bases at chr1:299-300"):
        make_splits(store, 50, bed=bed)


def test_short_rows_grow_around_their_centre_and_may_then_collide(store, write_bed):
    rows = [("chr1", 10, 20, "train"), ("chr2", 1000, 1010, "valid"), ("chr3", 2090, 2100, "test")]
    splits = make_splits(store, 50, bed=write_bed(*rows), max_n_fraction=1)
    assert [splits[s].start.tolist() for s in SPLITS] == [[0], [980], [2050]]
    rows.append(("chr1", 60, 62, "valid"))
    with pytest.raises(InputError, match="share bases"):
        make_splits(store, 50, bed=write_bed(*rows), max_n_fraction=1)


def test_a_plain_bed_limits_the_named_contigs(store, write_bed):
    bed = write_bed(("chr1", 100, 350), ("chr1", 300, 420), ("chr2", 0, 200), ("chr3", 0, 100))
    splits = make_splits(
        store, 100, bed=bed, train=["chr1"], valid=["chr2"], test=["chr3"], max_n_fraction=1
    )
    assert [splits[s].start.tolist() for s in SPLITS] == [[100, 200, 300], [0, 100], [0]]


def test_a_row_past_the_end_of_its_contig_is_an_error_with_its_line(store, write_bed):
    with pytest.raises(InputError, match=r"regions\.bed:2: "):
        make_splits(store, 100, bed=write_bed(("chr1", 0, 300), ("chr3", 2000, 2101)))


def test_disjointness_counts_the_reach_of_shifted_windows():
    near = from_regions([Interval("a", 0, 105)], 100)
    far = from_regions([Interval("a", 102, 300)], 100)
    assert near.covered()[0].end == 100
    with pytest.raises(InputError, match="a:102-105"):
        check_disjoint({"train": near, "test": far})
    check_disjoint({"train": near, "test": from_regions([Interval("a", 105, 300)], 100)})


def test_yeast_splits_as_suggested(shared_data, tmp_path):
    store = open_store(shared_data / "genomes" / "scerevisiae_R64-1-1.fa.gz", folder=tmp_path)
    romans = list(store.contigs)[: list(store.contigs).index("XIV") + 1]
    splits = make_splits(store, 1024, train=[f"chr{r}" for r in romans], valid=["XV"], test=["XVI"])
    lengths = {s: sum(w.length for w in splits[s].covered()) for s in SPLITS}
    assert len(romans) == 14
    assert chroms_of(splits["train"]) == set(romans)
    assert 10.0e6 < lengths["train"] < 10.05e6
    assert lengths["test"] == store.contigs["XVI"] // 1024 * 1024
