import pytest
from hypothesis import given
from hypothesis import strategies as st

from genolm.genome.edits import SKIP_REASONS, Edit, reason_in_text

ALLELES = st.text(alphabet="ACGTacgt", min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("ref", "alt", "reason"),
    [
        ("A", "C", None),
        ("a", "cGt", None),
        ("ACGT", "a", None),
        ("A", ".", "no_alt"),
        ("A", "", "no_alt"),
        ("A", "*", "star"),
        ("A", "<DEL>", "symbolic"),
        ("A", "<*>", "symbolic"),
        ("A", "<NON_REF>", "symbolic"),
        ("N", "<INS:ME:ALU>", "symbolic"),
        ("G", "G]17:198982]", "symbolic"),
        ("G", "]13:123456]T", "symbolic"),
        ("G", "[chr2:5[A", "symbolic"),
        ("G", "G.", "symbolic"),
        ("G", ".A", "symbolic"),
        ("N", "C", "non_acgt_ref"),
        ("ANT", "C", "non_acgt_ref"),
        (".", "C", "non_acgt_ref"),
        ("A", "N", "non_acgt_alt"),
        ("A", "CRG", "non_acgt_alt"),
        ("A", "-", "non_acgt_alt"),
    ],
)
def test_letters_alone_tell_why_an_allele_cannot_be_scored(ref, alt, reason):
    assert reason_in_text(ref, alt) == reason
    assert reason is None or reason in SKIP_REASONS


@given(ref=ALLELES, alt=ALLELES, before=st.text("ACGT", max_size=6), after=st.text("ACGT"))
def test_an_edit_makes_the_same_sequence_as_the_alleles_it_came_from(ref, alt, before, after):
    edit = Edit.between("c", len(before), ref, alt)
    whole = (before + ref + after).upper()
    edited = whole[: edit.start] + edit.alt + whole[edit.start + len(edit.ref) :]
    assert whole[edit.start : edit.start + len(edit.ref)] == edit.ref
    assert edited == (before + alt + after).upper()


@given(ref=ALLELES, alt=ALLELES)
def test_an_edit_shares_neither_its_first_nor_its_last_base(ref, alt):
    edit = Edit.between("c", 0, ref, alt)
    if edit.ref and edit.alt:
        assert edit.ref[0] != edit.alt[0]
        assert edit.ref[-1] != edit.alt[-1]


@given(ref=ALLELES, alt=ALLELES, anchor=st.text("ACGT", min_size=1, max_size=5))
def test_shared_bases_after_the_alleles_change_nothing(ref, alt, anchor):
    assert Edit.between("c", 9, ref, alt) == Edit.between("c", 9, ref + anchor, alt + anchor)


@pytest.mark.parametrize(
    ("ref", "alt", "expected"),
    [
        ("CA", "CAT", Edit("c", 12, "", "T")),
        ("CAT", "C", Edit("c", 11, "AT", "")),
        ("ACG", "ATG", Edit("c", 11, "C", "T")),
        ("AAA", "AA", Edit("c", 10, "A", "")),
        ("ACT", "GCA", Edit("c", 10, "ACT", "GCA")),
        ("A", "a", Edit("c", 11, "", "")),
    ],
)
def test_the_smallest_edit_is_found(ref, alt, expected):
    found = Edit.between("c", 10, ref, alt)
    assert (found.ref, found.alt) == (expected.ref, expected.alt)
    assert found.start == expected.start or not (found.ref or found.alt)
