"""Signals in the middle of a scoring, and what a run after them does."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from genolm.cli.main import run
from genolm.scoring.runtime import Runtime
from genolm.scoring.saturate_file import SaturationJob, saturate_file
from genolm.scoring.score_file import score_file

SLICES = 9
ONE_BY_ONE = Runtime("cpu", threads=1, batch_size=1)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def bytes_of(job):
    return Path(job.output).read_bytes()


@pytest.fixture
def interruptible():
    """Ctrl-C as in a terminal: what a shell starts in the background is born deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGTERM, 143, "stopped by SIGTERM"), (signal.SIGINT, 130, "stopped by Ctrl-C")],
    ids=["SIGTERM", "SIGINT"],
)
def test_a_signal_is_one_line_that_says_how_to_go_on(
    resumable, whole, calls, tmp_path, capsys, number, code, said
):
    one = resumable()
    arguments = [
        "score", one.vcf, "-r", one.reference, "-m", one.model, "-o", one.output,
        "--device", "cpu", "--threads", "1", "--batch-size", "1",
    ]  # fmt: skip
    assert run(arguments) == 0
    expected = bytes_of(one)
    Path(one.output).unlink()
    capsys.readouterr()
    calls.stop_at(3, lambda: os.kill(os.getpid(), number))
    assert run(arguments) == code
    assert capsys.readouterr().err == (
        f"genolm: error: {said}; run the same command again to go on from the 20 alleles in"
        " .out.vcf.genolm-journal\n"
    )
    assert names_in(tmp_path) == [".out.vcf.genolm-journal", "in.vcf"]
    calls.stop_at(None)
    assert run(arguments) == 0
    assert calls.count() == SLICES - 3
    assert bytes_of(one) == expected


@pytest.mark.parametrize("room", [700, 800])
def test_a_full_disk_is_one_line_and_loses_nothing(resumable, whole, calls, tmp_path, room):
    one = resumable()
    expected = whole(one)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            score_file(one)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert names_in(tmp_path) == [".out.vcf.genolm-journal", "in.vcf"]
    assert caught.value.filename in (one.output, str(tmp_path / ".out.vcf.genolm-journal"))
    assert "run the same command again to go on from" in caught.value.__notes__[0]
    calls.stop_at(None)
    summary = score_file(one)
    assert 0 < calls.count() < SLICES
    assert summary.known + sum(map(len, calls.edits)) == 60
    assert bytes_of(one) == expected


KILLED = """
import os, signal, sys
from genolm.scoring import journal, score_file as module
from genolm.scoring.runtime import Runtime
from genolm.scoring.scorer import VariantScorer
journal.WORTHWHILE_SECONDS, module.CHUNK = 0.0, 20
columns, left = VariantScorer._columns, [int(sys.argv[5])]
def stop(self, edits):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return columns(self, edits)
VariantScorer._columns = stop
runtime = Runtime("cpu", threads=1, batch_size=1)
module.score_file(module.ScoringJob(*sys.argv[1:5], runtime=runtime))
"""


@pytest.mark.parametrize(
    "moment", [6, *(pytest.param(one, marks=pytest.mark.slow) for one in (0, 1, 8))]
)
def test_a_killed_run_goes_on(resumable, whole, calls, tmp_path, moment):
    one = resumable()
    expected = whole(one)
    arguments = [one.vcf, one.reference, one.model, one.output, str(moment)]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "out.vcf").exists()
    calls.stop_at(None)
    score_file(one)
    assert calls.count() == SLICES - moment
    assert bytes_of(one) == expected
    if moment:
        assert names_in(tmp_path) == ["in.vcf", "out.vcf"]


def test_saturation_goes_on_too(resumable, calls, tmp_path, fasta_path, model_folders):
    one = SaturationJob(
        region="chr2:1-60",
        reference=str(fasta_path),
        model=str(model_folders / "ps"),
        output=str(tmp_path / "o.tsv"),
        runtime=ONE_BY_ONE,
    )
    saturate_file(one)
    expected = bytes_of(one)
    passes = calls.count()
    calls.stop_at(3)
    with pytest.raises(calls.error):
        saturate_file(one)
    assert (tmp_path / ".o.tsv.genolm-journal").exists()
    calls.stop_at(None)
    summary = saturate_file(one)
    assert calls.count() == passes - 3
    assert bytes_of(one) == expected
    assert (summary.snvs, summary.known) == (180, 72)
    assert names_in(tmp_path) == ["o.tsv"]
