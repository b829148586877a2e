import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from pysam import bcftools

from genolm.cli.main import run
from genolm.models.auto import TOKENIZERS
from genolm.models.build import build_model
from genolm.scoring.saturate import SiteScorer

CLOSING = re.compile(
    r"(\d+) sites, (\d+) SNVs scored, (\d+) bases skipped( \(.*\))? in [\d.]+ s \([\d.]+ SNVs/s\)"
)
REGION = "chr1:91-130"


def save(root, name, family, task, **options):
    sizes = {"d_model": 8, "n_layer": 1, "training_length": 32}
    build_model(family, task, {**sizes, **options}, seed=1).save_pretrained(root / name)
    TOKENIZERS[family]().save_pretrained(root / name)


@pytest.fixture(scope="session")
def work(tmp_path_factory):
    """Models and a genome; commands run beside them."""
    root = tmp_path_factory.mktemp("saturate")
    save(root, "equivariant", "caduceus", "masked_lm", rcps=True)
    save(root, "masked", "caduceus", "masked_lm", rcps=False)
    save(root, "causal", "hyenadna", "causal_lm")
    save(root, "classifier", "caduceus", "classification", num_labels=2)
    bases = "".join(np.array(list("ACGT"))[np.random.default_rng(1).integers(0, 4, 300)])
    bases = f"{bases[:99]}NR{bases[101:110].lower()}{bases[110:]}"
    (root / "g.fa").write_text(f">chr1\n{bases}\n>chr2\n{bases[:40]}\n")
    (root / "some.bed").write_text("chr1\t90\t110\nchr2\t0\t5\nchr1\t100\t130\n")
    return root


@pytest.fixture(autouse=True)
def here(work, tmp_path, monkeypatch):
    """A folder of its own for every test, with everything under its plain name."""
    for path in work.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    before = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(before)


def saturate(*arguments, region=REGION, model="equivariant", output="out.tsv"):
    return run(["saturate", region, "-r", "g.fa", "-m", model, "-o", output, *arguments])


def rows_of(text):
    lines = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    return {tuple(row[:4]): list(map(float, row[4:])) for row in lines[1:]}


def leftovers(folder, work):
    made = {path.name for path in folder.iterdir()} - {path.name for path in work.iterdir()}
    return made - {"g.fa.fai"}


def test_a_region_is_scored_and_summed_up_in_one_line(here, capfd):
    assert saturate() == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert CLOSING.fullmatch(err.strip()).groups() == ("38", "114", "2", " (non_acgt_ref 2)")
    rows = rows_of((here / "out.tsv").read_text())
    assert len(rows) == 114
    assert {row[0] for row in rows} == {"chr1"}
    assert sorted({int(row[1]) for row in rows}) == [*range(91, 100), *range(102, 131)]


@pytest.mark.parametrize("model", ["equivariant", "masked", "causal"])
def test_score_gives_the_same_numbers_for_the_same_snvs(here, model):
    options = ["--scores", "llr,llr_strands", "-D", "11"]
    assert saturate(*options, model=model) == 0
    assert saturate(model=model, output="snvs.vcf.gz") == 0
    command = ["score", "snvs.vcf.gz", "-r", "g.fa", "-m", model, "-o", "scored.vcf", *options]
    assert run([*command, "--batch-size", "3"]) == 0
    query = "%CHROM\t%POS\t%REF\t%ALT\t%GENOLM_LLR\t%GENOLM_LLR_FWD\t%GENOLM_LLR_REV\n"
    scored = rows_of("\n" + bcftools.query("-f", query, "scored.vcf"))
    found = rows_of((here / "out.tsv").read_text())
    assert list(found) == list(scored)
    numbers = np.array(list(found.values()))
    assert len(np.unique(numbers)) > 100
    np.testing.assert_allclose(numbers, list(scored.values()), rtol=0, atol=1e-6)


def test_standard_output_is_a_table_of_the_same_bytes(here, capfd):
    assert saturate() == 0
    capfd.readouterr()
    assert saturate("-q", output="-") == 0
    out, err = capfd.readouterr()
    assert err == ""
    written = (here / "out.tsv").read_text()
    assert rows_of(out) == rows_of(written)
    assert out.splitlines()[1].startswith("##genolmCommand=")


def test_intervals_of_a_bed_are_scored_each_by_itself(here, capfd):
    assert saturate(region="some.bed", output="out.npz") == 0
    assert CLOSING.search(capfd.readouterr().err).groups()[:3] == ("52", "156", "3")
    with np.load("out.npz") as found:
        assert found["start"].tolist() == [90, 0, 100]
        assert found["end"].tolist() == [110, 5, 130]
        assert found["chrom"].tolist() == ["chr1", "chr2", "chr1"]
        np.testing.assert_array_equal(found["scores"][10:20], found["scores"][25:35])


def test_a_gene_is_scored_where_its_annotation_has_it(here, capfd):
    (here / "genes.gff").write_text("##gff-version 3\n1\tx\tgene\t91\t95\t.\t-\t.\tName=abc\n")
    assert saturate("--annotation", "genes.gff", region="abc") == 0
    assert "5 sites, 15 SNVs scored" in capfd.readouterr().err
    assert saturate("--annotation", "genes.gff", region="chr1:1-5") == 2
    assert "genes.gff has no gene 'chr1:1-5'" in capfd.readouterr().err


def test_the_sites_of_a_vcf_are_saturated(here, capfd):
    assert saturate(output="sites.vcf", region="1:91-95") == 0
    assert "contigs found in g.fa under another name: 1 as chr1" in capfd.readouterr().err
    assert saturate(region="sites.vcf") == 0
    assert CLOSING.search(capfd.readouterr().err).groups()[:3] == ("5", "15", "0")
    assert len(rows_of((here / "out.tsv").read_text())) == 15


@pytest.mark.parametrize("model", ["masked", "causal"])
def test_batch_size_and_threads_change_no_number(here, model):
    assert saturate(model=model) == 0
    more = ["--batch-size", "3", "--threads", "1", "--device", "cpu", "--seed", "5"]
    assert saturate(*more, model=model, output="other.tsv") == 0
    first, second = (rows_of((here / name).read_text()) for name in ("out.tsv", "other.tsv"))
    assert list(first) == list(second)
    np.testing.assert_allclose(list(first.values()), list(second.values()), rtol=0, atol=1e-5)


def test_a_bedgraph_holds_the_mean_or_the_lowest(here):
    assert saturate() == 0
    rows = rows_of((here / "out.tsv").read_text())
    by_site = {}
    for (_, pos, _, _), (value,) in rows.items():
        by_site.setdefault(int(pos) - 1, []).append(value)
    for more, value in ([], lambda v: np.abs(v).mean()), (["--bedgraph-value", "min"], min):
        assert saturate(*more, output="out.bedGraph") == 0
        lines = (here / "out.bedGraph").read_text().splitlines()
        found = [line.split("\t") for line in lines if line[0] != "#"]
        assert [int(row[1]) for row in found] == list(by_site)
        assert [float(row[3]) for row in found] == pytest.approx(list(map(value, by_site.values())))


def test_a_plot_comes_beside_the_numbers(here):
    pytest.importorskip("matplotlib", reason="plots need matplotlib (the extra `plot`)")
    assert saturate("--plot", "map.png") == 0
    assert (here / "map.png").read_bytes().startswith(b"\x89PNG")
    assert rows_of((here / "out.tsv").read_text())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"region": "chr9:1-5"}, "no such file or region: chr9:1-5"),
        ({"region": "missing.bed"}, "no such file or region: missing.bed"),
        ({"region": "chr1:1-301"}, "does not lie on chr1 of g.fa, which has the bases 1-300"),
        ({"region": "chr1:7"}, "write chr1:7-7 for the one base"),
        ({"model": "missing"}, "no model folder missing"),
        ({"model": "classifier"}, "need a language model"),
        ({"output": "nowhere/out.tsv"}, "its folder does not exist"),
        ({"output": "out.bed"}, "an output's name ends in one of .tsv"),
        ({"more": ["-r", "missing.fa"]}, "no such file: missing.fa"),
        ({"more": ["--scores", "dist"]}, "unknown score 'dist'; available are llr, llr_strands"),
        ({"more": ["--scores", ","]}, "no score was asked for"),
        ({"more": ["--window", "2"]}, "too short"),
        ({"more": ["--window", "9", "-D", "4"]}, "give one of them"),
        ({"more": ["-D", "-1"]}, "--distance -1"),
        ({"more": ["--bedgraph-value", "max"]}, "choose one of mean, min"),
        ({"more": ["--plot", "map.pdf"]}, "a plot's name ends in one of .png .svg"),
        ({"more": ["--batch-size", "many"]}, "--batch-size many: a number, or auto"),
        ({"more": ["--device", "tpu"]}, "choose one of auto, cpu, cuda"),
        ({"more": ["--strict"]}, "No such option"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(here, work, capfd, arguments, message):
    more = arguments.pop("more", [])
    assert saturate(*more, **arguments) == 2
    err = capfd.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert leftovers(here, work) == set()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("bad.bed", "chr1\t5\t301\n", "bad.bed:1: the interval ends at 301, but chr1 has 300"),
        ("bad.bed", "chr9\t5\t6\n", "bad.bed:1: contig 'chr9' is not in the genome"),
        ("bad.bed", "", "bad.bed: holds no interval"),
        ("bad.vcf", "##fileformat=VCFv4.2\n", "the header has no #CHROM line"),
    ],
)
def test_bad_content_is_one_line_and_exit_code_1(here, work, capfd, name, text, message):
    (here / name).write_text(text)
    assert saturate(region=name) == 1
    err = capfd.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert leftovers(here, work) == {name}


@pytest.mark.parametrize("output", ["out.tsv", "out.vcf.gz", "out.bcf", "out.npz", "out.bedgraph"])
def test_ctrl_c_is_exit_code_130_and_leaves_no_half_file(here, work, monkeypatch, capfd, output):
    def interrupt(self, alleles, advance=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(SiteScorer, "score", interrupt)
    assert saturate(output=output) == 130
    assert "Traceback" not in capfd.readouterr().err
    assert leftovers(here, work) == set()


def test_a_pipe_that_closes_early_is_quiet():
    reading, writing = os.pipe()
    os.close(reading)
    command = ["saturate", "chr1", "-r", "g.fa", "-m", "equivariant", "-o", "-"]
    done = subprocess.run(
        [sys.executable, "-m", "genolm", *command],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    assert done.returncode == 0
    assert not re.search("Traceback|Error|error|pipe", done.stderr)
