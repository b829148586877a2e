"""``genolm embed`` of variants: two means an allele, and a table beside them."""

import csv
import gzip
import io
import sys

import numpy as np
import pysam.bcftools
import pytest
from pyarrow import parquet

from genolm.cli.main import run
from genolm.data.edit_windows import GenomeWindows
from genolm.genome import Fasta
from genolm.genome.edits import Edit
from genolm.models.auto import TOKENIZERS, load
from genolm.models.build import build_model
from genolm.scoring.site_features import SiteFeatures

BASES = "ACGTTGCAAC" * 30
HEADER = (
    "##fileformat=VCFv4.2\n##contig=<ID=20,length=300>\n"
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
)
RECORDS = (
    "20\t11\trs1\tA\tC,G\t.\t.\t.\n20\t5\t.\tT\tTAC,*\t.\t.\t.\n"
    "20\t30\t.\tA\tC\t.\t.\t.\n9\t30\t.\tA\tC\t.\t.\t.\n20\t300\t.\tC\t.\t.\t.\t.\n"
)
EDITS = [
    Edit("chr20", 10, "A", "C"),
    Edit("chr20", 10, "A", "G"),
    Edit("chr20", 5, "", "AC"),
    "star",
    "ref_mismatch",
    "contig_missing",
    "no_alt",
]
REASONS = [one if isinstance(one, str) else "." for one in EDITS]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    root = tmp_path_factory.mktemp("variants")
    sizes = {"d_model": 8, "n_layer": 1, "training_length": 32, "bidirectional": False}
    build_model("caduceus", "causal_lm", sizes, seed=1).save_pretrained(root / "m")
    TOKENIZERS["caduceus"]().save_pretrained(root / "m")
    (root / "g.fa").write_text(f">chr20\n{BASES}\n")
    (root / "in.vcf").write_text(HEADER + RECORDS)
    (root / "in.vcf.gz").write_bytes(gzip.compress((HEADER + RECORDS).encode()))
    (root / "odd.name").write_text(HEADER + RECORDS)
    plain = HEADER.replace("length=300>", "length=300>\n##contig=<ID=9>") + RECORDS
    (root / "plain.vcf").write_text(plain)
    pysam.bcftools.view(
        "-Ob", "-o", str(root / "in.bcf"), str(root / "plain.vcf"), catch_stdout=False
    )
    return root


@pytest.fixture(autouse=True)
def here(work, tmp_path, monkeypatch):
    for path in work.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def embed(source, *arguments, output="out"):
    common = ["-m", "m", "-r", "g.fa", "-o", output, "--device", "cpu"]
    return run(["embed", source, *common, *arguments])


def expected(edits=EDITS, window=32, **options):
    model, _ = load("m")
    genome = GenomeWindows(Fasta("g.fa"))
    return SiteFeatures(model, genome, window, site_window=9, **options).compute(edits)


def rows_of(name="out.parquet"):
    return parquet.read_table(name).to_pydict()


@pytest.mark.parametrize("source", ["in.vcf", "in.vcf.gz", "in.bcf", "odd.name"])
def test_a_row_for_every_allele_of_a_vcf(capfd, source):
    assert embed(source, "--site-window", "9") == 0
    err = capfd.readouterr().err
    assert "5 records, 7 alleles, 3 embedded, 4 skipped (star 1" in err
    assert "out.npy (7 x 16), out.parquet" in err
    found = np.load("out.npy")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected(), rtol=1e-5, atol=1e-6)
    assert np.isnan(found).all(axis=1).tolist() == [reason != "." for reason in REASONS]
    assert rows_of() == {
        "chrom": ["20"] * 5 + ["9", "20"],
        "pos": [11, 11, 5, 5, 30, 30, 300],
        "id": ["rs1", "rs1", ".", ".", ".", ".", "."],
        "ref": ["A", "A", "T", "T", "A", "A", "C"],
        "alt": ["C", "G", "TAC", "*", "C", "C", "."],
        "allele": [1, 2, 1, 2, 1, 1, 1],
        "embedding_row": list(range(7)),
        "GENOLM_SKIP": REASONS,
    }
    metadata = parquet.read_schema("out.parquet").metadata[b"genolm"]
    assert metadata.endswith(b"layer last, REF and ALT means of 9 positions, window 32")


def test_the_default_is_the_1537_positions_of_the_protocol(here, capfd):
    assert embed("in.vcf") == 0
    assert "windows of 32 bases are shorter than --site-window 1537" in capfd.readouterr().err
    found = np.load("out.npy")
    assert embed("in.vcf", "--site-window", "1537") == 0
    np.testing.assert_array_equal(np.load("out.npy"), found)


def test_batch_size_and_chunks_do_not_change_a_feature(here):
    lines = [f"20\t{pos}\t.\t{BASES[pos - 1]}\tN,<X>\t.\t.\t.\n" for pos in range(1, 300)]
    texts = [line.replace("N,", "C," if line.split("\t")[3] != "C" else "G,") for line in lines]
    (here / "many.vcf").write_text(HEADER + "".join(texts))
    arrays = []
    for options in (["--batch-size", "1"], ["--batch-size", "7"], []):
        assert embed("many.vcf", "-q", "--site-window", "9", *options) == 0
        arrays.append(np.load("out.npy"))
        assert rows_of()["embedding_row"] == list(range(598))
    assert arrays[0].shape == (598, 16)
    for array in arrays[1:]:
        np.testing.assert_allclose(array, arrays[0], rtol=1e-5, atol=1e-6)


def test_windows_layers_and_strands(here):
    options = ["--window", "48", "--layer", "0", "--both-strands", "--site-window", "9"]
    assert embed("in.vcf", *options) == 0
    wanted = expected(window=48, layer=0, both_strands=True)
    np.testing.assert_allclose(np.load("out.npy"), wanted, rtol=1e-5, atol=1e-6)


def test_a_table_keeps_its_columns(here):
    text = 'label,Chrom,POS,ref,alt\nx,20,11,A,"C,G"\ny,20,5,T,TAC\n'
    (here / "in.csv").write_text(text)
    assert embed("in.csv", "--site-window", "9") == 0
    np.testing.assert_allclose(np.load("out.npy"), expected()[:3], rtol=1e-5, atol=1e-6)
    assert rows_of() == {
        "label": ["x", "x", "y"],
        "Chrom": ["20"] * 3,
        "POS": [11, 11, 5],
        "ref": ["A", "A", "T"],
        "alt": ["C", "G", "TAC"],
        "allele": [1, 2, 1],
        "embedding_row": [0, 1, 2],
        "GENOLM_SKIP": ["."] * 3,
    }


def test_a_table_of_sequences_may_have_the_columns_of_variants(here):
    (here / "in.csv").write_text("chrom,pos,ref,alt,sequence\n20,1,A,C,ACGT\n")
    assert run(["embed", "in.csv", "-m", "m", "-o", "out", "--device", "cpu"]) == 0
    assert np.load("out.npy").shape == (1, 8)


def test_variants_on_the_command_line_and_on_standard_input(here, monkeypatch):
    assert embed("chr20:11:A>C,20-11-A-G", "--site-window", "9") == 0
    np.testing.assert_allclose(np.load("out.npy"), expected()[:2], rtol=1e-5, atol=1e-6)
    data = (HEADER + RECORDS).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert embed("-", "--site-window", "9") == 0
    np.testing.assert_allclose(np.load("out.npy"), expected(), rtol=1e-5, atol=1e-6)


def test_without_pyarrow_the_table_is_tsv(here, monkeypatch):
    from genolm.scoring import embed_file

    monkeypatch.setattr(embed_file, "find_spec", lambda name: None)
    assert embed("in.vcf", "--site-window", "9") == 0
    with (here / "out.tsv").open(newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    assert [row["GENOLM_SKIP"] for row in rows] == REASONS


@pytest.mark.parametrize(
    ("source", "arguments", "code", "message"),
    [
        ("in.vcf", ["--site-window", "8"], 2, "--site-window 8: an odd number"),
        ("in.vcf", ["--window", "4"], 2, "a window of 4 bases is too short"),
        ("in.vcf", ["--pool", "max"], 2, "--pool max is for sequences"),
        ("in.vcf", ["--layer", "7"], 2, "layer 7: this model has 2"),
        ("none.vcf", [], 2, "no such file: none.vcf"),
        ("wrong.vcf", [], 1, "wrong.vcf: 30 of the first 30 REF alleles do not stand in g.fa"),
        ("broken.vcf", [], 1, "broken.vcf:4: POS 'x' is not a whole number"),
        ("taken.tsv", [], 1, "taken.tsv: has a column 'allele' already"),
    ],
)
def test_what_is_wrong_is_one_line_and_leaves_nothing(
    here, capfd, source, arguments, code, message
):
    (here / "wrong.vcf").write_text(HEADER + "20\t1\t.\tC\tG\t.\t.\t.\n" * 30)
    (here / "broken.vcf").write_text(HEADER + "20\tx\t.\tC\tG\t.\t.\t.\n")
    (here / "taken.tsv").write_text("chrom\tpos\tref\talt\tallele\n20\t1\tA\tC\t1\n")
    options = arguments if "--site-window" in arguments else [*arguments, "--site-window", "9"]
    assert embed(source, *options) == code
    err = capfd.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not list(here.glob("*out*"))


def test_variants_need_their_genome_and_sequences_have_no_site(capfd):
    assert run(["embed", "in.vcf", "-m", "m", "-o", "out"]) == 2
    assert "in.vcf: variants need the genome they refer to (-r FASTA)" in capfd.readouterr().err
    assert run(["embed", "g.fa", "-m", "m", "-o", "out", "--site-window", "9"]) == 2
    assert "--site-window, --window and --both-strands are for variants" in capfd.readouterr().err
