import math

import pytest
from Bio.Seq import Seq
from hypothesis import given
from hypothesis import strategies as st

from genolm.genome import gc_fraction, is_acgt, reverse_complement

IUPAC = "ACGTRYSWKMBDHVNacgtryswkmbdhvn"


@given(st.text(alphabet=IUPAC + "-.*"))
def test_two_reverse_complements_give_back_the_sequence(sequence):
    assert reverse_complement(reverse_complement(sequence)) == sequence


@given(st.text(alphabet=IUPAC))
def test_reverse_complement_agrees_with_biopython_on_every_iupac_code(sequence):
    assert reverse_complement(sequence) == str(Seq(sequence).reverse_complement())


def test_uracil_pairs_with_adenine():
    assert reverse_complement("UuC") == "GaA"


def test_gc_fraction_counts_known_bases_only():
    assert gc_fraction("GgCNNNNAtT") == 0.5
    assert math.isnan(gc_fraction("NN-"))
    assert math.isnan(gc_fraction(""))


@pytest.mark.parametrize(
    ("sequence", "expected"), [("ACGTacgt", True), ("ACN", False), ("", False), ("*", False)]
)
def test_acgt_means_at_least_one_base_and_no_other_letter(sequence, expected):
    assert is_acgt(sequence) is expected
