import pytest
from hypothesis import given
from hypothesis import strategies as st

from genolm.errors import UsageError
from genolm.genome import Variant, parse_variant

BASES = st.text("ACGTNacgtn", min_size=1, max_size=6)
CONTIG = st.from_regex(r"[A-Za-z0-9*][A-Za-z0-9:_.*-]{0,10}", fullmatch=True)
SPELLINGS = [
    "{chrom}:{pos}:{ref}>{alt}",
    "{chrom}:{pos}:{ref}:{alt}",
    "{chrom}-{pos}-{ref}-{alt}",
    "{chrom}_{pos}_{ref}_{alt}",
    "{chrom}_{pos}_{ref}_{alt}_b38",
]


@given(
    chrom=CONTIG,
    pos=st.integers(1, 10**9),
    ref=BASES,
    alt=BASES,
    spelling=st.sampled_from(SPELLINGS),
)
def test_every_spelling_is_read_and_its_position_becomes_0_based(chrom, pos, ref, alt, spelling):
    text = spelling.format(chrom=chrom, pos=pos, ref=ref, alt=alt)
    assert parse_variant(text) == Variant(chrom, pos - 1, ref, alt)


@pytest.mark.parametrize("text", ["", "chr1:5", "chr1:5:A", "chr1:x:A>C", "chr1:5:A>", ":5:A>C"])
def test_what_is_no_variant_is_refused_with_the_spellings(text):
    with pytest.raises(UsageError, match="write chr22:1024:A>C"):
        parse_variant(text)


@pytest.mark.parametrize(
    ("ref", "alt", "kind"),
    [
        ("A", "c", "snv"),
        ("AC", "GT", "mnv"),
        ("A", "ATT", "insertion"),
        ("a", "ATT", "insertion"),
        ("ATT", "A", "deletion"),
        ("ATT", "AT", "deletion"),
        ("AT", "GCC", "complex"),
        ("A", "<DEL>", "complex"),
        ("A", "*", "complex"),
        ("A", ".", "complex"),
        ("N", "A", "complex"),
    ],
)
def test_kind_follows_from_the_alleles(ref, alt, kind):
    assert Variant("1", 0, ref, alt).kind == kind


def test_end_is_after_the_last_reference_base():
    assert Variant("1", 10, "ACG", "A").end == 13


def test_alleles_are_not_empty():
    with pytest.raises(ValueError, match="empty allele"):
        Variant("1", 10, "A", "")
