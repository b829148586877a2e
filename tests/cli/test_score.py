import gzip
import io
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from genolm.cli.main import run
from genolm.genome.vcf import ERRORS
from genolm.models.auto import TOKENIZERS
from genolm.models.build import build_model
from genolm.scoring.variants import VariantScorer
from genolm.scoring.writers import Annotation

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
CLOSING = re.compile(
    r"(\d+) records, (\d+) alleles, (\d+) scored, (\d+) skipped( \(.*\))? in [\d.]+ s "
    r"\([\d.]+ variants/s\)"
)


def save(root, name, family, task, **options):
    sizes = {"d_model": 8, "n_layer": 1, "training_length": 32}
    build_model(family, task, {**sizes, **options}, seed=1).save_pretrained(root / name)
    TOKENIZERS[family]().save_pretrained(root / name)


@pytest.fixture(scope="session")
def work(tmp_path_factory):
    """Models, a genome and a VCF of 40 SNVs; commands run beside them."""
    root = tmp_path_factory.mktemp("score")
    save(root, "masked", "caduceus", "masked_lm", rcps=True)
    save(root, "causal", "hyenadna", "causal_lm")
    save(root, "classifier", "caduceus", "classification", num_labels=2)
    (root / "empty").mkdir()
    (root / "weightless").mkdir()
    (root / "weightless" / "config.json").write_text((root / "masked/config.json").read_text())
    bases = "".join(np.array(list("ACGT"))[np.random.default_rng(1).integers(0, 4, 300)])
    (root / "g.fa").write_text(f">chr1\n{bases}\n")
    (root / "in.vcf").write_text(HEADER + "".join(snv(bases, start) for start in range(40)))
    return root


@pytest.fixture
def bases(work):
    return (work / "g.fa").read_text().split()[1]


@pytest.fixture(autouse=True)
def here(work, tmp_path, monkeypatch):
    """A folder of its own for every test, with everything under its plain name."""
    for path in work.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    before = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(before)


def snv(bases, start):
    alt = "ACGT"[("ACGT".index(bases[start]) + 1) % 4]
    return f"chr1\t{start + 1}\t.\t{bases[start]}\t{alt}\t.\t.\t.\n"


def score(*arguments, vcf="in.vcf", model="masked", output="out.vcf"):
    return run(["score", vcf, "-r", "g.fa", "-m", model, "-o", output, *arguments])


def leftovers(folder, work):
    made = {path.name for path in folder.iterdir()} - {path.name for path in work.iterdir()}
    return made - {"g.fa.fai", "bad.vcf"}


@pytest.mark.parametrize("model", ["masked", "causal"])
def test_a_vcf_is_scored_and_summed_up_in_one_line(here, model, capfd):
    assert score(model=model) == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert CLOSING.fullmatch(err.strip()).groups()[:4] == ("40", "40", "40", "0")
    lines = (here / "out.vcf").read_text().splitlines()
    assert lines[2].startswith("##genolmCommand=")
    assert len([line for line in lines if "GENOLM_LLR=" in line]) == 40


def test_quiet_says_nothing(capfd):
    assert score("-q") == 0
    assert capfd.readouterr().err == ""


def test_spliceais_options_mean_the_same(here, capfd):
    assert score("--window", "21") == 0
    command = ["score", "-I", "in.vcf", "-O", "same.vcf", "-R", "g.fa", "-D", "10", "-m", "masked"]
    assert run(command) == 0
    first, second = (
        [line for line in (here / name).read_text().splitlines() if line[1] != "#"]
        for name in ("out.vcf", "same.vcf")
    )
    assert first == second


def test_standard_input_to_standard_output(here, monkeypatch, capfdbinary):
    data = gzip.compress((here / "in.vcf").read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert score(vcf="-", output="-") == 0
    assert capfdbinary.readouterr().out.count(b"GENOLM_LLR=") == 40


def test_a_pipe_that_closes_early_is_quiet():
    reading, writing = os.pipe()
    os.close(reading)
    command = ["score", "in.vcf", "-r", "g.fa", "-m", "masked", "-o", "-", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-m", "genolm", *command],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    assert not re.search("Traceback|Error|error|pipe", done.stderr)


def test_each_strand_on_request(here):
    assert score("--scores", "llr,llr_strands", model="causal") == 0
    line = (here / "out.vcf").read_text().splitlines()[-1]
    found = dict(entry.split("=") for entry in line.split("\t")[7].split(";"))
    mean = (float(found["GENOLM_LLR_FWD"]) + float(found["GENOLM_LLR_REV"])) / 2
    assert float(found["GENOLM_LLR"]) == pytest.approx(mean, rel=1e-6)


@pytest.mark.parametrize("model", ["masked", "causal"])
def test_batch_threads_and_shards_change_no_number(here, model):
    def numbers(*names):
        text = "".join((here / name).read_text() for name in names)
        return [float(found) for found in re.findall(r"GENOLM_LLR=([^;,]+)", text)]

    assert score(model=model) == 0
    assert score("--batch-size", "3", "--threads", "1", model=model, output="other.vcf") == 0
    assert score("--shard", "0/2", model=model, output="0.vcf") == 0
    assert score("--shard", "1/2", model=model, output="1.vcf") == 0
    assert numbers("other.vcf") == pytest.approx(numbers("out.vcf"), abs=1e-4)
    assert numbers("0.vcf", "1.vcf") == pytest.approx(numbers("out.vcf"), abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vcf": "missing.vcf"}, "no such file: missing.vcf"),
        ({"model": "missing"}, "no model folder missing"),
        ({"model": "empty"}, "no config.json"),
        ({"model": "weightless"}, "no weights"),
        ({"model": "classifier", "more": ["--scores", "llr"]}, "need a language model"),
        ({"more": ["--scores", "delta"]}, "needs a fine-tuned classifier"),
        ({"more": ["--scores", "dist", "--layer", "9"]}, "layer 9: this model has"),
        ({"output": "nowhere/out.vcf"}, "its folder does not exist"),
        ({"output": "out.bam"}, "an output's name ends in one of .vcf"),
        ({"more": ["-r", "missing.fa"]}, "no such file: missing.fa"),
        ({"more": ["--scores", "far"]}, "unknown score 'far'; available are llr, llr_strands"),
        ({"more": ["--scores", "llr,,dits"]}, "unknown score 'dits'"),
        ({"more": ["--window", "2"]}, "too short"),
        ({"more": ["--window", "99"], "model": "causal"}, "the model reads 34"),
        ({"more": ["--window", "9", "-D", "4"]}, "give one of them"),
        ({"more": ["-D", "-1"]}, "--distance -1"),
        ({"more": ["-I", "in.vcf"]}, "name one VCF"),
        ({"more": ["--batch-size", "many"]}, "--batch-size many: a number, or auto"),
        ({"more": ["--device", "tpu"]}, "choose one of auto, cpu, cuda"),
        ({"more": ["--dtype", "int8"]}, "choose one of float32"),
        ({"more": ["--shard", "2/2"]}, "write i/n with i from 0 to n-1"),
        ({"more": ["--no-such-option"]}, "No such option"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(here, work, capfd, arguments, message):
    more = arguments.pop("more", [])
    assert score(*more, **arguments) == 2
    err = capfd.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert leftovers(here, work) == set()


def test_a_vcf_must_be_named(capfd):
    assert run(["score", "-r", "g.fa", "-m", "masked", "-o", "out.vcf"]) == 2
    assert "name one VCF" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "bad.vcf is empty"),
        ("chr1\t1\t.\tA\tC\t.\t.\t.\n", "bad.vcf:1: no VCF header"),
        (">chr1\nACGT\n", "is not a VCF file but a FASTA file"),
        (HEADER + "chr1\tx\t.\tA\tC\t.\t.\t.\n", "bad.vcf:3: POS 'x' is not a whole number"),
        (HEADER + "chr1\t5\t.\tA\n", "bad.vcf:3: 4 tab-separated column(s)"),
        (HEADER + "chr1\t0\t.\tA\tC\t.\t.\t.\n" * 20, "wrong genome build?"),
    ],
)
def test_bad_content_is_one_line_and_exit_code_1(here, work, capfd, text, message):
    (here / "bad.vcf").write_text(text)
    assert score(vcf="bad.vcf") == 1
    err = capfd.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert leftovers(here, work) == set()


def test_truncated_gzip_is_exit_code_1_and_publishes_nothing(here, work, capfd):
    whole = gzip.compress((here / "in.vcf").read_bytes())
    (here / "bad.vcf").write_bytes(whole[:-30])
    assert score(vcf="bad.vcf", output="out.vcf.gz") == 1
    assert "complete records were read before that; nothing was published" in capfd.readouterr().err
    assert leftovers(here, work) == set()


def test_strict_is_exit_code_1(here, work, bases, capfd):
    (here / "bad.vcf").write_text(HEADER + snv(bases, 5) + "chr1\t301\t.\tA\tC\t.\t.\t.\n")
    assert score(vcf="bad.vcf") == 0
    (here / "out.vcf").unlink()
    assert score("--strict", vcf="bad.vcf") == 1
    assert "bad.vcf:4: REF A does not stand at chr1:301" in capfd.readouterr().err
    assert leftovers(here, work) == set()


def test_odd_records_come_out_with_their_reason_and_line_ends(here, bases, capfd):
    b = bases.lower()
    lines = [
        f"chr1\t11\t.\t{b[10]}\t<DEL>,*\t.\t.\tDP=1",
        f"1\t12\t.\t{b[11:13]}\t{b[11]}\t.\tPASS\t.",
        f"chr1\t14\t.\t{b[13]}\t.\t.\t.\tA;B=\xe9",
        "chrUn\t5\t.\tA\tC\t.\t.\t.",
        "chr1\t299999\t.\tA\tC\t.\t.\t.",
    ]
    text = "\r\n".join([*HEADER.splitlines(), *lines, ""])
    (here / "bad.vcf").write_bytes(text.encode("latin-1"))
    assert score(vcf="bad.vcf") == 0
    with (here / "out.vcf").open(encoding="utf-8", errors=ERRORS, newline="") as found:
        written = [line for line in found.read().split("\r\n") if line and line[0] != "#"]
    assert [line.rsplit("GENOLM_SKIP=")[-1] for line in written] == [
        "symbolic,star", ".", "no_alt", "contig_missing", "ref_mismatch",
    ]  # fmt: skip
    assert written[2].encode("utf-8", ERRORS).split(b"\t")[7].startswith(b"A;B=\xe9;GENOLM_LLR=.")
    err = capfd.readouterr().err
    assert "under another name: 1 as chr1" in err
    assert (
        "1 scored, 5 skipped (symbolic 1, star 1, ref_mismatch 1, contig_missing 1, no_alt 1)"
        in err
    )


@pytest.mark.parametrize("output", ["out.vcf", "out.vcf.gz", "out.bcf", "out.tsv", "out.parquet"])
def test_every_format_is_published_whole(here, output):
    assert score(output=output) == 0
    assert (here / output).stat().st_size > 0


@pytest.mark.parametrize("output", ["out.vcf", "out.vcf.gz", "out.bcf", "out.tsv"])
def test_ctrl_c_is_exit_code_130_and_leaves_no_half_file(here, work, monkeypatch, capfd, output):
    def interrupt(self, alleles, advance=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(VariantScorer, "score", interrupt)
    (here / "old.vcf").write_text("old")
    assert score(output=output) == 130
    assert "Traceback" not in capfd.readouterr().err
    assert leftovers(here, work) == {"old.vcf"}


def test_a_full_disk_is_exit_code_1_and_keeps_the_old_file(here, work, monkeypatch, capfd):
    def fail(self, record, results):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Annotation, "encode_record", fail)
    (here / "out.vcf").write_text("old")
    assert score() == 1
    assert "No space left on device" in capfd.readouterr().err
    assert (here / "out.vcf").read_text() == "old"
    assert leftovers(here, work) == {"out.vcf"}


KINDS = {"masked": ["LLR", "WT", "DIST"], "classifier": ["DELTA_LABEL_0", "DELTA_LABEL_1"]}


@pytest.mark.parametrize("model", KINDS)
def test_scores_of_every_kind_stand_in_the_file(model, here, bases):
    line = f"chr1\t61\t.\t{bases[60]}\t{bases[60]}AC,<DEL>\t.\t.\t.\n"
    (here / "two.vcf").write_text(HEADER + line)
    scores = ["--scores", "llr,wild_type,dist"] if model == "masked" else []
    assert run(["score", "two.vcf", "-r", "g.fa", "-m", model, "-o", "scored.vcf", *scores]) == 0
    text = (here / "scored.vcf").read_text()
    info = text.splitlines()[-1].split("\t")[7]
    for name in KINDS[model]:
        assert f"##INFO=<ID=GENOLM_{name},Number=A,Type=Float" in text
        values = re.search(rf"GENOLM_{name}=([^;]*)", info)[1].split(",")
        assert values[1] == "."
        assert (values[0] == ".") is (name == "WT")  # an insertion
    assert "GENOLM_SKIP=.,symbolic" in info
