import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genolm.data import edit_windows as windows
from genolm.data.edit_windows import GenomeWindows, alt_ids, place, window_start
from genolm.errors import InputError
from genolm.genome.edits import Edit
from genolm.tokenization.encode import decode, encode


@pytest.mark.parametrize(("start", "end"), [(0, 400), (-7, 12), (390, 420), (-5, 500), (50, 50)])
def test_ids_are_the_contigs_with_n_outside(genome, contigs, start, end):
    padded = "N" * 100 + contigs["chr1"].upper() + "N" * 200
    assert decode(genome.ids("chr1", start, end)) == padded[100 + start : 100 + end]


def test_blocks_join_without_a_seam_and_only_some_are_kept(fasta, contigs, monkeypatch):
    monkeypatch.setattr(windows, "BLOCK", 16)
    monkeypatch.setattr(windows, "BLOCKS_KEPT", 3)
    genome = GenomeWindows(fasta)
    for start in (0, 15, 16, 17, 300, 5):
        expected = contigs["chr1"].upper()[start : start + 90]
        assert decode(genome.ids("chr1", start, start + 90)) == expected
    assert len(genome._blocks) == 3


def test_bases_match_in_either_case_and_never_outside_the_contig(genome, contigs):
    bases = contigs["chr1"]
    assert genome.matches("chr1", 95, bases[95:105].swapcase())
    assert not genome.matches("chr1", 96, bases[95:105])
    assert not genome.matches("chr1", 399, bases[399] + "A")
    assert not genome.matches("chr1", 4000, "A")
    assert not genome.matches("chr1", -1, "A")
    assert not genome.matches("chr2", 160, "A")  # N there


@pytest.mark.parametrize(
    ("wanted", "window", "length", "start"),
    [(50, 10, 100, 50), (-3, 10, 100, 0), (95, 10, 100, 90), (0, 10, 10, 0), (3, 10, 6, 0),
     (-9, 10, 6, -4), (-2, 10, 6, -2)],
)  # fmt: skip
def test_a_window_is_shifted_inside_its_contig_or_holds_all_of_it(wanted, window, length, start):
    assert window_start(wanted, window, length) == start


def test_an_snv_stands_in_the_middle_of_one_window_for_all_strands_and_alleles():
    placed = place(Edit("chr1", 200, "A", "C"), 32, 400)
    assert {placed.ref, placed.alt, placed.ref_reverse, placed.alt_reverse} == {200 - 16}


EDITS = st.tuples(
    st.integers(8, 40), st.integers(8, 120), st.integers(0, 20), st.integers(0, 20), st.integers(0)
)


@given(EDITS)
def test_windows_lie_inside_their_haplotype_and_hold_the_whole_edit(drawn):
    window, length, ref_size, alt_size, where = drawn
    ref_size, alt_size = min(ref_size, window // 2, length), min(alt_size, window // 2)
    start = where % (length - ref_size + 1)
    placed = place(Edit("c", start, "A" * ref_size, "C" * alt_size), window, length)
    alt_length = length - ref_size + alt_size
    for begin, size, whole in (
        (placed.ref, ref_size, length),
        (placed.ref_reverse, ref_size, length),
        (placed.alt, alt_size, alt_length),
        (placed.alt_reverse, alt_size, alt_length),
    ):
        assert begin <= start
        assert start + size <= begin + window
        assert min(0, whole - window) <= begin <= max(0, whole - window)


@given(EDITS)
def test_away_from_the_ends_each_strand_reads_the_same_bases_before_the_edit(drawn):
    window, _, ref_size, alt_size, _ = drawn
    ref_size, alt_size = min(ref_size, window // 2), min(alt_size, window // 2)
    placed = place(Edit("c", 500, "A" * ref_size, "C" * alt_size), window, 1000)
    assert placed.ref == placed.alt
    ends = placed.ref_reverse + window - ref_size, placed.alt_reverse + window - alt_size
    assert ends[0] == ends[1]


@pytest.mark.parametrize(("ref", "alt"), [("A", "C"), ("ACG", ""), ("", "GGT"), ("AC", "TTTTT")])
@pytest.mark.parametrize("begin", [180, 199, 200])
def test_the_window_of_the_edited_contig_is_cut_from_it(genome, contigs, ref, alt, begin):
    edit = Edit("chr1", 200, ref, alt)
    bases = contigs["chr1"].upper()
    edited = bases[:200] + alt + bases[200 + len(ref) :]
    assert decode(alt_ids(genome, edit, begin, 40)) == edited[begin : begin + 40]


def test_iupac_letters_of_a_fasta_are_n_and_u_is_t(make_genome):
    genome = make_genome({"c": "ACGT" * 5 + "ryswU" + "ACGT" * 5})
    assert np.array_equal(genome.ids("c", 20, 25), encode("NNNNT").ids)


def test_a_byte_that_is_no_base_is_an_error_that_names_file_and_contig(make_genome):
    genome = make_genome({"odd": "ACGTACG-ACGT"})
    with pytest.raises(InputError, match=r"other\.fa: odd from base 1: byte 0x2D"):
        genome.ids("odd", 0, 4)
