"""Labelled variants on a hand-written FASTA: what is read, what is left out, what is refused."""

import csv

import pytest

from genolm.data.edit_windows import GenomeWindows
from genolm.data.labelled_variants import read_labelled_variants
from genolm.errors import InputError
from genolm.genome.edits import Edit
from genolm.genome.fasta import Fasta

BASES = {"chr1": "ACGTACGTACGTACGTACGTACGTACGTACGT", "chr2": "TTTTTTTTTTGGGGGGGGGG"}
HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


@pytest.fixture
def genome(make_fasta):
    return GenomeWindows(Fasta(make_fasta(BASES)))


@pytest.fixture
def read(tmp_path, genome):
    """Read variants, given as rows of a VCF (chrom pos ref alt info) or of a table."""

    def run(rows, columns=None, **options):
        if columns is None:
            lines = ["\t".join([c, str(p), ".", r, a, ".", ".", i]) for c, p, r, a, i in rows]
            path = tmp_path / "in.vcf"
            path.write_text(HEADER + "\n".join(lines) + "\n")
        else:
            path = tmp_path / "in.tsv"
            with path.open("w", newline="") as opened:
                csv.writer(opened, delimiter="\t").writerows([columns, *rows])
        return read_labelled_variants(path, genome, reference="g.fa", **{"label": "L", **options})

    return run


def test_a_vcf_gives_edits_in_the_genomes_names_and_variants_in_its_own(read):
    found = read([("1", 3, "g", "T", "X=1;L=good"), ("chr2", 10, "TG", "T", "L=bad")])
    assert found.edits == [Edit("chr1", 2, "G", "T"), Edit("chr2", 10, "G", "")]
    assert [(v.chrom, v.start, v.ref, v.alt) for v in found.variants] == [
        ("1", 2, "g", "T"),
        ("chr2", 9, "TG", "T"),
    ]
    assert found.labels == ["good", "bad"]
    assert found.place(1).endswith("in.vcf:4")
    assert not found.skipped


def test_a_table_has_its_label_and_its_group_in_columns(read):
    rows = [("chr1", 3, "G", "T", "0.5", "one"), ("chr2", 11, "G", "A", "-1", "two")]
    found = read(rows, ("chrom", "pos", "ref", "alt", "L", "gene"), group="gene")
    assert (found.labels, found.groups) == (["0.5", "-1"], ["one", "two"])
    assert read(rows, ("chrom", "pos", "ref", "alt", "L", "gene"), group="chrom").groups == [
        "chr1",
        "chr2",
    ]


def test_names_of_one_group_are_told_by_what_they_begin_with(read):
    names = ["SORT1", "SORT1.2", "SORT1-flip", "SORT10", "TERT-GBM"]
    rows = [("chr1", 3, "G", "T", "1", name) for name in names]
    heading = ("chrom", "pos", "ref", "alt", "L", "element")
    assert read(rows, heading, group="element").groups == names
    joined = ["SORT1", "SORT1", "SORT1", "SORT10", "TERT"]
    assert read(rows, heading, group="element", group_match="[^.-]+").groups == joined
    # A trailing number alone.
    digits = r".+?(?=\.\d+$|$)"
    joined[2:] = ["SORT1-flip", "SORT10", "TERT-GBM"]
    assert read(rows, heading, group="element", group_match=digits).groups == joined
    for nothing in ("[^A-Z]+", "x*"):
        with pytest.raises(InputError, match=r"in\.tsv:2: data\.group_match .* 'SORT1' begins"):
            read(rows, heading, group="element", group_match=nothing)


def test_the_contig_may_stand_in_a_column_of_another_name(read):
    rows = [("chr1", 3, "G", "T", "a"), ("chr2", 11, "G", "A", "b")]
    found = read(rows, ("element", "pos", "ref", "alt", "L"), chrom="element")
    assert [edit.contig for edit in found.edits] == ["chr1", "chr2"]
    with pytest.raises(InputError, match="not one column 'name'; there are element, pos"):
        read(rows, ("element", "pos", "ref", "alt", "L"), chrom="name")


def test_the_group_of_a_vcf_is_an_info_key_or_the_contig(read):
    rows = [("1", 3, "G", "T", "L=a;GENE=x"), ("chr2", 11, "G", "A", "GENE=y;L=b")]
    assert read(rows, group="GENE").groups == ["x", "y"]
    assert read(rows, group="chrom").groups == ["chr1", "chr2"]
    with pytest.raises(InputError, match=r"in\.vcf:4: the variant has no group"):
        read([rows[0], ("chr2", 11, "G", "A", "L=b")], group="GENE")


def test_what_cannot_be_scored_or_has_no_label_is_left_out_and_counted(read):
    rows = [
        ("chr1", 3, "G", "T", "L=a"),
        ("chr1", 4, "G", "T", "L=a"),
        ("chr9", 4, "G", "T", "L=a"),
        ("chr1", 3, "G", "<DEL>", "L=a"),
        ("chr1", 3, "G", "C", "L=."),
        ("chr1", 3, "G", "C", "X=1"),
        ("chr1", 3, "G", "C", "."),
    ]
    found = read(rows)
    assert len(found) == 1
    assert found.skipped == {"ref_mismatch": 1, "contig_missing": 1, "symbolic": 1, "no_label": 3}


def test_several_alleles_have_a_label_each_or_one_for_all(read):
    found = read([("chr1", 3, "G", "T,C", "L=a,b"), ("chr1", 5, "A", "T,C", "L=b")])
    assert found.labels == ["a", "b", "b", "b"]
    assert read([("chr1", 3, "G", "T,C", "L=a,.")]).skipped == {"no_label": 1}
    # A label of one allele may hold commas.
    assert read([("chr1", 3, "G", "T", "L=a,b")]).labels == ["a,b"]
    with pytest.raises(InputError, match=r"in\.vcf:3: L has 2 values for 3 ALT alleles"):
        read([("chr1", 3, "G", "T,C,A", "L=a,b")])


def test_a_window_of_the_model_decides_what_is_too_long(read):
    found = read([("chr1", 3, "G", "T", "L=a"), ("chr1", 3, "G", "GTTTTTT", "L=b")])
    assert found.fitting(12).labels == ["a", "b"]
    short = found.fitting(10)
    assert (short.labels, short.skipped) == (["a"], {"too_long": 1})
    with pytest.raises(InputError, match=r"no labelled variant to use \(1 too_long\)"):
        found.take([1]).fitting(10)


def test_another_genome_build_is_refused(read):
    rows = [("chr1", pos, "C" if pos % 4 else "A", "T", "L=a") for pos in range(1, 25)]
    with pytest.raises(InputError, match="wrong genome build"):
        read(rows)


@pytest.mark.parametrize(
    ("rows", "columns", "options", "said"),
    [
        ([("chr1", 3, "G", "T", "A=1;B=2")], None, {}, "no record has the INFO key 'L'.*A, B"),
        ([("chr1", 3, "G", "T", "L=.")], None, {}, r"no labelled variant to use \(1 no_label\)"),
        ([("chr1", 3, "G", "T", "a")], ("chrom", "pos", "ref", "alt", "X"), {}, "no column 'L'"),
        (
            [("chr1", 3, "G", "T", "a")],
            ("chrom", "pos", "ref", "alt", "L"),
            {"group": "gene"},
            "no column 'gene'; the columns are chrom, pos, ref, alt, L",
        ),
    ],
)
def test_what_is_not_there_is_named(read, rows, columns, options, said):
    with pytest.raises(InputError, match=said):
        read(rows, columns, **options)
