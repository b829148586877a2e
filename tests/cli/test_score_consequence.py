"""``genolm score --annotation``: consequences beside the scores, in every format."""

import csv
import gzip
import json

import numpy as np
import pysam.bcftools
import pytest
from pyarrow import parquet

from genolm.cli.main import run
from genolm.genome import Variant
from genolm.genome.sequence import reverse_complement
from genolm.models.auto import TOKENIZERS, load
from genolm.models.build import build_model
from genolm.scoring import score_variants

GENE = "ATGAAATGTTATCGTTAA"
BASES = "ACGTACGTAC" * 6 + GENE + "CCATGG" * 5 + reverse_complement(GENE) + "ACGTACGTAC" * 4
GFF = (
    "##gff-version 3\n"
    "20\tt\tgene\t61\t78\t.\t+\t.\tID=g;Name=one%2C a%26b\n"
    "20\tt\tCDS\t61\t78\t.\t+\t0\tID=c;Parent=g\n"
    "20\tt\tgene\t109\t126\t.\t-\t.\tID=h;Name=two\n"
    "20\tt\tCDS\t109\t126\t.\t-\t0\tID=d;Parent=h\n"
    "7\tt\tgene\t1\t9\t.\t-\t.\tID=i;Name=three\n"
)
HEADER = (
    "##fileformat=VCFv4.2\n##contig=<ID=20,length=166>\n"
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
)
RECORDS = [
    ("20", 64, "A", "T,G", ["stop_gained", "missense_variant"]),
    ("20", 69, "T", "C", ["synonymous_variant"]),
    ("20", 64, "A", "AC", ["frameshift_variant"]),
    ("20", 5, "A", "C", ["intergenic_variant"]),
    ("20", 123, "T", "A,*,<DEL>", ["stop_gained", ".", "."]),
    ("20", 64, "C", "T", ["."]),
    ("9", 64, "C", "T", ["."]),
]
GENES = ["one%2C%20a%26b"] * 2, ["one%2C%20a%26b"], ["one%2C%20a%26b"], ["."], ["two", ".", "."]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    root = tmp_path_factory.mktemp("consequence")
    sizes = {"d_model": 8, "n_layer": 1, "training_length": 32, "rcps": True}
    build_model("caduceus", "masked_lm", sizes, seed=1).save_pretrained(root / "m")
    TOKENIZERS["caduceus"]().save_pretrained(root / "m")
    (root / "g.fa").write_text(f">chr20\n{BASES}\n")
    (root / "a.gff.gz").write_bytes(gzip.compress(GFF.encode()))
    lines = [f"{c}\t{pos}\t.\t{ref}\t{alt}\t.\t.\tX=1\n" for c, pos, ref, alt, _ in RECORDS]
    (root / "in.vcf").write_text(HEADER + "".join(lines))
    return root


@pytest.fixture(autouse=True)
def here(work, tmp_path, monkeypatch):
    for path in work.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def score(output, *arguments, source="in.vcf", annotation="a.gff.gz"):
    options = ["-r", "g.fa", "-m", "m", "--device", "cpu", "-o", output, *arguments]
    return run(["score", source, *options, "--annotation", annotation])


def flat(values):
    return [value for some in values for value in some]


@pytest.mark.parametrize("name", ["out.vcf", "out.vcf.gz", "out.bcf"])
def test_bcftools_reads_and_filters_the_consequences(capfd, name):
    assert score(name) == 0
    assert "a.gff.gz: 2 transcripts; 1 of its contigs are not in g.fa (7)" in capfd.readouterr().err
    found = pysam.bcftools.query("-f", "%INFO/GENOLM_CSQ\t%INFO/GENOLM_GENE\n", name)
    assert found.splitlines()[:5] == [
        f"{','.join(record[4])}\t{','.join(genes)}"
        for record, genes in zip(RECORDS[:5], GENES, strict=True)
    ]
    chosen = pysam.bcftools.query("-i", 'GENOLM_CSQ="stop_gained"', "-f", "%POS\n", name)
    assert chosen.split() == ["64", "123"]
    header = pysam.bcftools.view("-h", name)
    assert '##INFO=<ID=GENOLM_CSQ,Number=A,Type=String,Description="Most severe' in header


def test_nothing_else_of_a_record_changes_and_a_second_run_replaces_the_first(here, capfd):
    assert score("plain.vcf") == 0
    assert run(["score", "in.vcf", "-r", "g.fa", "-m", "m", "--device", "cpu", "-o", "b.vcf"]) == 0
    added = [line.split("\t") for line in records(here / "plain.vcf")]
    bare = [line.split("\t") for line in records(here / "b.vcf")]
    for one, other, record in zip(added, bare, RECORDS, strict=True):
        assert one[:7] == other[:7]
        kept = [
            entry for entry in one[7].split(";") if not entry.startswith(("GENOLM_CSQ", "GENOLM_G"))
        ]
        assert kept == other[7].split(";")
        assert f"GENOLM_CSQ={','.join(record[4])}" in one[7].split(";")
    capfd.readouterr()
    assert score("again.vcf", source="plain.vcf") == 0
    assert "the input was scored before" in capfd.readouterr().err
    assert records(here / "again.vcf") == records(here / "plain.vcf")


def records(path):
    return [line for line in path.read_text().splitlines() if not line.startswith("#")]


def test_tables_and_lines_hold_a_consequence_for_every_allele(here, capfd):
    expected = [None if term == "." else term for term in flat(record[4] for record in RECORDS)]
    assert score("out.jsonl") == 0
    lines = [json.loads(line) for line in (here / "out.jsonl").read_text().splitlines()[1:]]
    assert [one["GENOLM_CSQ"] for one in lines] == expected
    assert [one["GENOLM_CSQ"] is None for one in lines] == [
        one["GENOLM_LLR"] is None for one in lines
    ]
    assert score("out.parquet") == 0
    assert parquet.read_table("out.parquet")["GENOLM_CSQ"].to_pylist() == expected
    assert score("out.tsv") == 0
    with (here / "out.tsv").open(newline="") as text:
        rows = list(csv.DictReader(text, delimiter="\t"))
    assert [row["GENOLM_CSQ"] for row in rows] == [one or "NA" for one in expected]
    assert score("out.bed") == 0
    shown = [line.split("\t")[-2] for line in records(here / "out.bed")]
    assert shown == [one for one in expected if one]
    capfd.readouterr()
    assert score("out.bedgraph") == 0
    assert "a bedGraph holds one score" not in capfd.readouterr().err


@pytest.mark.parametrize("kind", ["tsv", "parquet"])
def test_a_table_of_variants_gets_the_columns_too(here, kind):
    text = "chrom\tpos\tref\talt\tnote\n20\t64\tA\tT,G\tx\n20\t69\tT\tC\ty\n20\t1\tC\tA\tz\n"
    (here / "in.tsv").write_text(text)
    assert score(f"out.{kind}", source="in.tsv") == 0
    if kind == "tsv":
        with (here / "out.tsv").open(newline="") as lines:
            found = [row["GENOLM_CSQ"] for row in csv.DictReader(lines, delimiter="\t")]
        missing = "NA"
    else:
        found, missing = parquet.read_table("out.parquet")["GENOLM_CSQ"].to_pylist(), None
    assert found == ["stop_gained,missense_variant", "synonymous_variant", missing]


def test_the_same_from_python(here):
    model, tokenizer = load("m")
    variants = [
        Variant("20", 63, "A", "T"),
        Variant("20", 63, "C", "T"),
        Variant("20", 1, "C", "G"),
    ]
    found = list(score_variants(model, tokenizer, variants, "g.fa", annotation="a.gff.gz"))
    assert [(one.consequence, one.gene) for one in found] == [
        ("stop_gained", "one%2C%20a%26b"),
        (None, None),
        ("intergenic_variant", None),
    ]
    bare = list(score_variants(model, tokenizer, variants, "g.fa"))
    assert [one.consequence for one in bare] == [None] * 3
    np.testing.assert_array_equal([one.llr for one in bare[::2]], [one.llr for one in found[::2]])


def test_the_genetic_code_can_be_chosen(here):
    assert score("a.jsonl", source="chr20:66:A>G") == 0
    assert score("b.jsonl", "--genetic-code", "2", source="chr20:69:T>A") == 0
    first, second = (json.loads((here / f"{n}.jsonl").read_text().splitlines()[1]) for n in "ab")
    assert first["GENOLM_CSQ"] == "synonymous_variant"
    assert second["GENOLM_CSQ"] == "missense_variant"  # TGT to TGA, which is W there


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ({"annotation": "none.gff"}, 2, "no such file: none.gff"),
        ({"annotation": "in.vcf"}, 1, "in.vcf is a VCF file; GenBank, GFF3 or GTF is needed"),
        ({"annotation": "other.gff"}, 1, "other.gff: none of its contigs is in g.fa"),
        ({"more": ("--genetic-code", "7")}, 2, "--genetic-code 7: choose one of 1, 2, 3"),
    ],
)
def test_wrong_annotations_are_one_line(here, capfd, arguments, code, message):
    (here / "other.gff").write_text("7\tt\tgene\t1\t9\t.\t-\t.\tID=i\n")
    assert score("out.vcf", *arguments.pop("more", ()), **arguments) == code
    err = capfd.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not (here / "out.vcf").exists()
