"""The windows of a variant and its place in them, on a hand-written FASTA."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genolm.data.edit_windows import GenomeWindows
from genolm.data.variant_dataset import VariantDataset
from genolm.data.variant_texts import category, count_near, local_texts
from genolm.genome.edits import Edit
from genolm.genome.fasta import Fasta
from genolm.genome.sequence import reverse_complement
from genolm.tokenization.encode import decode

CONTIG = "AACCGGTTACGTACGATTGACCATGACATT"  # 30 bases
SNV = Edit("a", 15, "A", "C")
INSERTION = Edit("a", 15, "", "GGG")
DELETION = Edit("a", 15, "ATT", "")
EDITS = {"snv": SNV, "insertion": INSERTION, "deletion": DELETION}


def windows_of(text, name="a"):
    class Contig:
        """As much of a Fasta as windows ask for."""

        contigs = {name: len(text)}  # noqa: RUF012  never changed
        path = "memory"

        def fetch(self, chrom, start, end):
            return text[start:end]

    return GenomeWindows(Contig())


def show(edit, *, text=CONTIG, window=12, **options):
    """The alleles' windows as text, strand by strand, and the sites (2 alleles, 2 strands)."""
    item = VariantDataset([edit], None, windows_of(text), window=window, **options)[0]
    ids = item["input_ids"].numpy().astype(np.uint8)
    strands = np.moveaxis(ids, -1, 0) if ids.ndim == 3 else ids[None]
    return [[decode(row) for row in strand] for strand in strands], item["sites"].tolist()


def test_the_windows_of_a_substitution_differ_in_its_place_alone():
    ((ref, alt),), sites = show(SNV)
    assert (ref, alt) == (CONTIG[9:21], CONTIG[9:15] + "C" + CONTIG[16:21])
    assert sites == [[6, 5], [6, 5]]
    assert ref[6] == "A"
    assert reverse_complement(ref)[5] == "T"


def test_indels_have_windows_of_one_length_and_sites_at_the_base_that_follows():
    ((ref, alt),), sites = show(INSERTION)
    assert (ref, alt) == (CONTIG[10:22], CONTIG[10:15] + "GGG" + CONTIG[15:19])
    # REF has no base there: what is read next is base 15, on the other strand base 14.
    assert sites == [[5, 7], [5, 4]]
    assert reverse_complement(ref)[7] == reverse_complement(CONTIG[14])
    ((there, _),), turned = show(INSERTION, reverse=True)
    assert there[turned[0][0]] == reverse_complement(CONTIG[14])
    ((ref, alt),), sites = show(DELETION)
    assert (ref, alt) == (CONTIG[10:22], CONTIG[10:15] + CONTIG[18:25])
    assert sites == [[5, 4], [5, 7]]


@pytest.mark.parametrize("kind", EDITS)
def test_the_other_strand_of_a_contig_is_read_as_that_contigs_own(kind):
    edit = EDITS[kind]
    turned = Edit(
        "a",
        len(CONTIG) - edit.start - len(edit.ref),
        reverse_complement(edit.ref),
        reverse_complement(edit.alt),
    )
    # An odd window has a middle, so that a substitution stands there on both strands.
    (here,), sites = show(edit, reverse=True, window=13)
    (there,), mirrored = show(turned, text=reverse_complement(CONTIG), window=13)
    if kind == "snv":
        assert (here, sites) == (there, mirrored)
    for alleles, at in ((here, sites), (there, mirrored)):
        for window, allele, (site, _) in zip(alleles, (turned.ref, turned.alt), at, strict=True):
            assert window[site : site + len(allele)] == allele


def test_both_strands_stand_side_by_side():
    strands, sites = show(SNV, conjoin=True)
    (forward,), one = show(SNV)
    (backward,), other = show(SNV, reverse=True)
    assert strands == [forward, backward]
    assert sites == [[f[0], b[0]] for f, b in zip(one, other, strict=True)]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 29), st.text("ACGT", max_size=4), st.integers(0, 4), st.integers(8, 40))
def test_exchanging_the_alleles_exchanges_the_windows(start, alt, removed, window):
    ref = CONTIG[start : start + removed]
    if len(ref) == len(alt) == 0:
        return
    edit, back = Edit("a", start, ref, alt), Edit("a", start, alt, ref)
    edited = CONTIG[:start] + alt + CONTIG[start + len(ref) :]
    ((a, b),), sites = show(edit, window=window)
    ((c, d),), exchanged = show(back, text=edited, window=window)
    assert (a, b) == (d, c)
    assert sites == exchanged[::-1]


def test_windows_at_a_contigs_ends_are_shifted_and_beyond_them_there_is_n():
    ((ref, alt),), sites = show(Edit("a", 1, "A", "T"))
    assert (ref, alt) == (CONTIG[:12], "AT" + CONTIG[2:12])
    assert sites[0][0] == 1
    ((ref, _),), sites = show(Edit("a", 1, "A", "T"), text="CAT", window=8)
    assert ref.strip("N") == "CAT"
    assert ref[sites[0][0]] == "A"


def test_examples_have_labels_and_survive_a_worker_process(tmp_path):
    file = tmp_path / "g.fa"
    file.write_text(f">a\n{CONTIG}\n")
    examples = VariantDataset([SNV, DELETION], [3, 4], GenomeWindows(Fasta(file)), window=12)
    again = pickle.loads(pickle.dumps(examples))
    assert len(again) == 2
    for one, other in ((examples[i], again[i]) for i in range(2)):
        assert all((one[name] == other[name]).all() for name in one)
    assert again[1]["labels"] == 4
    with pytest.raises(IndexError, match="0 to 1, got 2"):
        examples[2]


def test_baselines_see_the_class_of_change_and_the_bases_around():
    genome = windows_of(CONTIG)
    assert category(genome, SNV) == "A[T>G]C"
    assert [category(genome, one) for one in (INSERTION, DELETION)] == ["insertion", "deletion"]
    assert category(genome, Edit("a", 15, "AT", "GG")) == "substitution"
    assert local_texts(genome, DELETION) == (CONTIG[10:23], CONTIG[10:15] + CONTIG[18:23])


def test_neighbours_are_counted_on_the_same_contig():
    known = [Edit("a", 10, "A", "C"), Edit("b", 50, "A", "C")]
    asked = [Edit("a", place, "A", "C") for place in (5, 15, 16, 50)]
    assert count_near(known, asked, 5) == 2
    assert count_near([], asked, 5) == 0
