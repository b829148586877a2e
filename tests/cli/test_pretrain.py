import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from genolm.cli.main import run


@pytest.fixture
def genome(tmp_path):
    rng = np.random.default_rng(0)
    bases = "".join(rng.choice(list("ACGT"), 8000))
    file = tmp_path / "genome.fa"
    file.write_text(f">a\n{bases}\n")
    return file


@pytest.fixture
def arguments(genome, tmp_path):
    return [
        "pretrain",
        "smoke/yeast_mamba",
        f"data.fasta={genome}",
        f"output={tmp_path / 'run'}",
        "train.steps=4",
        "--threads=1",
    ]


def test_a_run_by_name_ends_with_a_model_and_says_nothing_on_stdout(arguments, tmp_path, capsys):
    assert run(arguments) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "bits per base" in said.err
    assert "order_7" in said.err
    assert (tmp_path / "run" / "model" / "model.safetensors").is_file()
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["steps"] == 4
    assert run(arguments) == 0
    assert "is done" in capsys.readouterr().err


def test_quiet_says_nothing(arguments, capsys):
    assert run([*arguments, "-q", "train.steps=1"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.stepz=3", "train.stepz is not a key of a recipe; did you mean train.steps?"),
        ("train.steps=many", "train.steps: a whole number is needed"),
        ("data.fasta=gone.fa", "data.fasta: there is no file or folder gone.fa"),
        ("model.d_modle=3", "model.d_modle is not an option of caduceus"),
        ("model.path=gone", "model: give exactly one of"),
        ("data.train=Z", "data.train: the genome has no contig 'Z'"),
    ],
)
def test_a_wrong_recipe_is_one_line_and_exit_code_2(arguments, override, said, tmp_path, capsys):
    assert run([*arguments, override]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said in lines[0]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "empty"), ("@read\nACGT\n+\nIIII\n", "FASTQ"), ("<html></html>", "HTML")],
)
def test_a_file_that_is_no_fasta_is_one_line_and_exit_code_1(
    arguments, genome, text, said, tmp_path, capsys
):
    genome.write_text(text)
    assert run(arguments) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said.lower() in lines[0].lower()
    assert not (tmp_path / "run").exists()


def test_a_window_longer_than_the_contigs_is_exit_code_1(arguments, capsys):
    assert run([*arguments, "data.length=9000"]) == 1
    assert "no window of 9,000 bases" in capsys.readouterr().err


def test_ctrl_c_is_exit_code_130_and_the_same_command_goes_on(arguments, tmp_path):
    long = [*arguments, "train.steps=100000", "train.log_every=1"]
    started = subprocess.Popen(
        [sys.executable, "-m", "genolm", *long],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    lines = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (lines.is_file() and lines.read_text().count("\n") > 2):
        assert started.poll() is None, started.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 130
    assert "the same command goes on from there" in said
    assert "Traceback" not in said
    folders = [folder.name for folder in (tmp_path / "run" / "checkpoints").iterdir()]
    newest = max(int(name.split("-")[1]) for name in folders)
    assert f"stopped at step {newest};" in said
