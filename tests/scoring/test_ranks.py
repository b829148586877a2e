"""Several processes score one file: the first writes what a single process writes."""

import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
import torch.distributed as distributed

from genolm.errors import InputError, UsageError
from genolm.scoring import ranks
from genolm.scoring.ranks import Team, is_one_of_several, joined_team, take_gpu
from genolm.scoring.runtime import Runtime
from genolm.scoring.saturate_file import SaturationJob, saturate_file
from genolm.scoring.score_file import score_file

SLICES = 9
ENVIRONMENT = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def together(monkeypatch):
    """Score a job in a team whose processes are threads here; their summaries or errors."""
    monkeypatch.setattr(ranks, "POLL_SECONDS", 0.01)

    def run(job, size, work=score_file):
        store = distributed.HashStore()
        ends = [None] * size

        def member(rank):
            team = Team(rank, size, store)
            try:
                with team.failing_together():
                    ends[rank] = work(job, team)
            except Exception as error:
                ends[rank] = error

        threads = [threading.Thread(target=member, args=(rank,)) for rank in range(size)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(120)
        return ends

    return run


@pytest.mark.parametrize(("name", "size"), [("o.vcf.gz", 2), ("o.parquet", 3), ("o.jsonl", 12)])
def test_the_output_is_that_of_one_process(resumable, whole, calls, together, tmp_path, name, size):
    one = resumable(name, scores=("llr", "dist"))
    expected = whole(one)
    calls.stop_at(None)
    first, *others = together(one, size)
    assert Path(one.output).read_bytes() == expected
    assert calls.count() == SLICES
    assert len(set(map(tuple, calls.edits))) == SLICES
    assert (first.records, first.scored, first.known) == (60, 60, 0)
    assert all(other.records == 0 for other in others)
    assert not [one for one in names_in(tmp_path) if "journal" in one or "partial" in one]


def test_a_process_that_fails_ends_all_and_the_first_says_which(
    resumable, whole, calls, together, tmp_path
):
    one = resumable()
    expected = whole(one)

    columns = calls.see

    def fail(edits):
        if edits[0].start == 8:  # of the second slice
            raise ValueError("out of memory")
        columns(edits)

    calls.see = fail
    first, second = together(one, 2)
    assert isinstance(second, ValueError)
    assert isinstance(first, InputError)
    assert str(first) == "process 1 of 2: out of memory"
    assert not (tmp_path / "out.vcf").exists()
    calls.see = columns
    calls.stop_at(None)
    first, _ = together(one, 2)
    assert first.known + sum(map(len, calls.edits)) == 60
    assert Path(one.output).read_bytes() == expected
    assert names_in(tmp_path) == ["in.vcf", "out.vcf"]


def test_what_each_process_knew_is_not_computed_again(resumable, whole, calls, together, tmp_path):
    one = resumable()
    expected = whole(one)
    calls.stop_at(6)
    assert all(isinstance(end, Exception) for end in together(one, 2))
    done = calls.count()
    assert done == 6
    journals = names_in(tmp_path)[:-1]
    assert journals == [f".out.vcf.genolm-journal-{i}-of-2" for i in range(2)]
    calls.stop_at(None)
    first, _ = together(one, 2)
    assert calls.count() == SLICES - done
    assert first.known > 0
    assert Path(one.output).read_bytes() == expected


def test_saturation_is_divided_too(resumable, calls, together, tmp_path, fasta_path, model_folders):
    one = SaturationJob(
        region="chr2:1-60",
        reference=str(fasta_path),
        model=str(model_folders / "ps"),
        output=str(tmp_path / "o.tsv"),
        runtime=Runtime("cpu", threads=1, batch_size=1),
    )
    alone = saturate_file(one)
    expected = Path(one.output).read_bytes()
    passes = calls.count()
    calls.stop_at(None)
    first, second = together(one, 2, saturate_file)
    assert Path(one.output).read_bytes() == expected
    assert calls.count() == passes > 1
    assert (first.sites, first.snvs, second.snvs) == (alone.sites, alone.snvs, 0)
    assert names_in(tmp_path) == ["o.tsv"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"divided": True}, "--shard: the processes that torchrun starts divide the work"),
        ({"source": "-"}, "standard input cannot be read by several processes"),
        ({"output": "-"}, "several processes need an output file"),
    ],
)
def test_what_cannot_be_divided_is_refused(change, message, monkeypatch):
    store = distributed.HashStore()
    monkeypatch.setattr(distributed, "rendezvous", lambda url, timeout: iter([(store, 0, 2)]))
    given = {"source": "in.vcf", "output": "o.vcf", **change}
    with pytest.raises(UsageError, match=message), joined_team(ENVIRONMENT, "cpu", **given):
        pass
    assert store.get("failed").startswith(b"usage process 0 of 2: ")


def test_a_process_alone_is_no_team():
    assert is_one_of_several(ENVIRONMENT)
    assert not is_one_of_several({**ENVIRONMENT, "WORLD_SIZE": "1"})
    assert not is_one_of_several({"RANK": "0", "WORLD_SIZE": "2"})
    with joined_team({}, "cpu", source="-", output="-") as team:
        assert team is None


@pytest.mark.parametrize(
    ("visible", "count", "rank", "chosen"),
    [(None, 4, 2, "2"), ("4,6", 2, 1, "6"), ("4,6", 2, 2, "4"), (None, 1, 1, None), ("", 0, 1, "")],
)
def test_every_process_takes_its_own_gpu(monkeypatch, visible, count, rank, chosen):
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    counts = iter([count, 1])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: next(counts))
    take_gpu(environment, rank)
    assert environment.get("CUDA_VISIBLE_DEVICES") == chosen


def torchrun(folder, *arguments):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port",
        str(port), "-m", "genolm", "score", *arguments, "--device", "cpu",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def own_lines(text):
    return [line for line in text.splitlines() if line.startswith(("genolm: ", "60 records"))]


@pytest.mark.slow
def test_torchrun_writes_what_one_process_writes(resumable, model_folders, fasta_path, tmp_path):
    one = resumable()
    arguments = ["in.vcf", "-r", str(fasta_path), "-m", one.model, "-o", "o.vcf.gz"]
    done = torchrun(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    assert len(own_lines(done.stderr)) == 1
    assert names_in(tmp_path) == ["in.vcf", "o.vcf.gz", "o.vcf.gz.tbi"]
    shutil.move(tmp_path / "o.vcf.gz", tmp_path / "several.vcf.gz")
    alone = subprocess.run(
        [sys.executable, "-m", "genolm", "score", *arguments, "--device", "cpu"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert alone.returncode == 0
    several, single = (tmp_path / name for name in ("several.vcf.gz", "o.vcf.gz"))
    assert several.read_bytes() == single.read_bytes()


@pytest.mark.slow
def test_under_torchrun_one_line_says_what_is_wrong(resumable, fasta_path, tmp_path):
    one = resumable(lines=["chr2\t1\n"])
    for wrong, said in [
        (["in.vcf", "-r", "none.fa"], "none.fa"),
        (["in.vcf", "-r", str(fasta_path)], "in.vcf:3: 2 tab-separated column"),
    ]:
        done = torchrun(tmp_path, *wrong, "-m", one.model, "-o", "o.vcf")
        assert done.returncode != 0
        lines = own_lines(done.stderr)
        assert len(lines) == 1, done.stderr
        assert said in lines[0]
    assert names_in(tmp_path) == ["in.vcf"]
