import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genolm.scoring.fields import fields_of, ratio
from genolm.scoring.vcf_output import (
    Provenance,
    annotate_header,
    annotate_line,
    info_entry,
    undeclared,
)

ORIGIN = Provenance(
    version="1.2.3",
    command="genolm score in.vcf\n-r  g.fa",
    model="my model, the 2nd",
    model_sha256="0f" * 32,
    reference="g.fa.gz",
    reference_fai_md5="ab" * 16,
)
FIELDS = fields_of(["llr"])
HEADER = ["##fileformat=VCFv4.2", '##INFO=<ID=DP,Number=1,Type=Integer,Description="x">']

ENTRY = "GENOLM_LLR=-1.5;GENOLM_SKIP=."
# What a column may hold: anything but tab and line end.
CELL = st.text(
    st.characters(blacklist_characters="\t\n\r", blacklist_categories=["Cs"]), min_size=1
)


def test_our_lines_follow_the_header_and_are_structured():
    lines, replaced = annotate_header(HEADER, FIELDS, ORIGIN)
    assert not replaced
    assert lines == [
        *HEADER,
        "##genolmVersion=1.2.3",
        "##genolmCommand=genolm score in.vcf -r g.fa",
        f"##genolmModel=<ID=my_model__the_2nd,sha256={'0f' * 32}>",
        f"##genolmReference=<ID=g.fa.gz,fai_md5={'ab' * 16}>",
        '##INFO=<ID=GENOLM_LLR,Number=A,Type=Float,Description="Log-likelihood ratio, mean of both'
        ' strands; ALT minus REF, natural log, negative = the model finds ALT less likely">',
        '##INFO=<ID=GENOLM_SKIP,Number=A,Type=String,Description="Why the ALT allele was not'
        " scored: . (it was scored) or one of symbolic star non_acgt_ref non_acgt_alt"
        ' ref_mismatch contig_missing too_long no_alt">',
    ]


def test_an_earlier_runs_header_lines_are_replaced_and_no_others():
    other = ["##genolmize=yes", '##INFO=<ID=XGENOLM_LLR,Number=1,Type=Float,Description="x">']
    first, _ = annotate_header([*HEADER, *other], fields_of(["llr", "llr_strands"]), ORIGIN)
    second, replaced = annotate_header(first, FIELDS, ORIGIN)
    assert replaced
    assert second == annotate_header([*HEADER, *other], FIELDS, ORIGIN)[0]


def test_every_alt_has_a_value_in_every_field():
    results = [ratio(-1.0, -2.0), "star", ratio(0.25, 0.25)]
    entry = info_entry(fields_of(["llr", "llr_strands"]), results)
    assert entry == (
        "GENOLM_LLR=-1.5,.,0.25;GENOLM_LLR_FWD=-1,.,0.25;GENOLM_LLR_REV=-2,.,0.25;"
        "GENOLM_SKIP=.,star,."
    )
    assert info_entry(FIELDS, ["no_alt"]) == "GENOLM_LLR=.;GENOLM_SKIP=no_alt"


def line_with(info, more=""):
    return f"chr1\t5\trs1\tA\tC\t30.50\tq10;s50\t{info}{more}"


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ("DP=3", f"DP=3;{ENTRY}"),
        (".", ENTRY),
        ("", ENTRY),
        ("DP=3;", f"DP=3;{ENTRY}"),
        ("GENOLM_LLR=2;GENOLM_SKIP=.", ENTRY),
        ("GENOLM_LLR=2;DP=3;GENOLM_OLD;NOTE=a b", f"DP=3;NOTE=a b;{ENTRY}"),
        ("NOTE=GENOLM_LLR", f"NOTE=GENOLM_LLR;{ENTRY}"),
    ],
)
@pytest.mark.parametrize("more", ["", "\tGT:DP\t0/1:3\t./.:."])
def test_only_info_changes_and_an_earlier_runs_entries_go(info, expected, more):
    line, replaced = annotate_line(line_with(info, more), ENTRY)
    assert line == line_with(expected, more)
    assert replaced == any(entry.startswith("GENOLM_") for entry in info.split(";"))


@given(columns=st.lists(CELL, min_size=8, max_size=12))
def test_every_column_but_info_passes_through(columns):
    found, _ = annotate_line("\t".join(columns), ENTRY)
    assert found.split("\t")[:7] == columns[:7]
    assert found.split("\t")[8:] == columns[8:]


@given(columns=st.lists(CELL, min_size=8, max_size=10))
def test_annotating_twice_is_annotating_once(columns):
    once, _ = annotate_line("\t".join(columns), ENTRY)
    twice, replaced = annotate_line(once, ENTRY)
    assert twice == once
    assert replaced


@given(info=st.text(string.ascii_letters + "=;,. ", min_size=1))
def test_info_of_others_is_kept_as_it_is(info):
    found, replaced = annotate_line(line_with(info), ENTRY)
    assert not replaced
    assert found.endswith(ENTRY)
    assert info == "." or found.split("\t")[7].startswith(info)


def test_names_that_a_header_does_not_declare_are_found():
    header = ["##contig=<length=5,ID=chr1>", "##contig=<ID=chr2,length=9>", "##INFO=<ID=chr3>"]
    assert undeclared("contig", header, ["chr3", "chr1", "chr2", "chr4"]) == ["chr3", "chr4"]
