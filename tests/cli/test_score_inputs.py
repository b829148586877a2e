"""``genolm score`` on variants that stand on the command line, and on parts of a genome."""

import csv
import io
import json

import numpy as np
import pytest

from genolm.cli.main import run
from genolm.models.auto import TOKENIZERS
from genolm.models.build import build_model

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    root = tmp_path_factory.mktemp("inputs")
    sizes = {"d_model": 8, "n_layer": 1, "training_length": 32, "rcps": True}
    build_model("caduceus", "masked_lm", sizes, seed=1).save_pretrained(root / "m")
    TOKENIZERS["caduceus"]().save_pretrained(root / "m")
    bases = "".join(np.array(list("ACGT"))[np.random.default_rng(1).integers(0, 4, 300)])
    (root / "g.fa").write_text(f">chr20\n{bases}\n")
    return root


@pytest.fixture(autouse=True)
def here(work, tmp_path, monkeypatch):
    for path in work.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def bases(work):
    return (work / "g.fa").read_text().split()[1]


def other(base):
    return "ACGT"[("ACGT".index(base) + 1) % 4]


def score(variants, *arguments):
    return run(["score", variants, "-r", "g.fa", "-m", "m", "--device", "cpu", *arguments])


def table_of(text):
    return list(csv.DictReader(io.StringIO(text), delimiter="\t"))


def test_variants_as_people_write_them_go_to_stdout_as_tsv(bases, capfd):
    a, b, c = bases[9], bases[29], bases[49:51]
    spelled = f"chr20:10:{a}>{other(a)},20-30-{b}-{other(b)},20_50_{c}_{c[0]},chr20-1-N-A"
    assert score(spelled) == 0
    out, err = capfd.readouterr()
    rows = table_of(out)
    assert [(row["chrom"], row["pos"], row["ref"], row["alt"]) for row in rows] == [
        ("chr20", "10", a, other(a)), ("20", "30", b, other(b)), ("20", "50", c, c[0]),
        ("chr20", "1", "N", "A"),
    ]  # fmt: skip
    assert [row["GENOLM_SKIP"] for row in rows] == [".", ".", ".", "non_acgt_ref"]
    assert all(np.isfinite(float(row["GENOLM_LLR"])) for row in rows[:3])
    assert "4 records, 4 alleles, 3 scored" in err


def test_a_variant_has_the_score_that_it_has_in_a_file(here, bases, capfd):
    a = bases[9]
    (here / "in.vcf").write_text(HEADER + f"chr20\t10\t.\t{a}\t{other(a)}\t.\t.\t.\n")
    assert score("in.vcf", "-o", "out.jsonl") == 0
    assert score(f"chr20:10:{a}>{other(a)}") == 0
    expected = json.loads((here / "out.jsonl").read_text().splitlines()[1])["GENOLM_LLR"]
    (row,) = table_of(capfd.readouterr().out)
    assert float(row["GENOLM_LLR"]) == pytest.approx(expected, rel=1e-6)


def test_variants_can_go_to_any_format(here, bases):
    a = bases[9]
    assert score(f"20:10:{a}>{other(a)}", "-o", "out.vcf") == 0
    lines = (here / "out.vcf").read_text().splitlines()
    assert "##contig=<ID=chr20,length=300>" in lines
    assert lines[-1].startswith(f"20\t10\t.\t{a}\t{other(a)}\t.\t.\tGENOLM_LLR=")


@pytest.mark.parametrize(
    ("spelled", "message"),
    [
        ("chr20:10:A>", "is no variant; write chr22:1024:A>C"),
        ("chr20:10:A>C,chr20:11", "'chr20:11' is no variant"),
        ("missing-1-2.vcf", "no such file: missing-1-2.vcf"),
    ],
)
def test_misspelt_variants_are_wrong_usage(spelled, message, capfd):
    assert score(spelled, "-o", "-") == 2
    err = capfd.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_a_file_needs_an_output(here, capfd):
    (here / "in.vcf").write_text(HEADER)
    assert score("in.vcf") == 2
    assert "name the output with --output" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["in.vcf", "in.tsv"])
def test_regions_restrict_what_is_scored_and_written(here, bases, name, capfd):
    rows = [f"chr20\t{i + 1}\t.\t{bases[i]}\t{other(bases[i])}" for i in range(0, 100, 10)]
    if name == "in.vcf":
        (here / name).write_text(HEADER + "".join(f"{row}\t.\t.\t.\n" for row in rows))
    else:
        (here / name).write_text("chrom\tpos\tx\tref\talt\n" + "".join(f"{r}\n" for r in rows))
    assert score(name, "-o", "out.tsv", "--regions", "20:11-31,chr20:91") == 0
    found = table_of((here / "out.tsv").read_text())
    assert [row["pos"] for row in found] == ["11", "21", "31", "91"]
    assert score(name, "-o", "out.tsv", "--regions", "chr20:12-20") == 0
    assert f"no record of {name} lies in --regions chr20:12-20" in capfd.readouterr().err
    assert score(name, "-o", "out.tsv", "--regions", "chr20:9-3") == 2
    (here / "parts.bed").write_text("20\t10\t31\n")
    assert score(name, "-o", "out.tsv", "--regions", "parts.bed") == 0
    assert len(table_of((here / "out.tsv").read_text())) == 3
