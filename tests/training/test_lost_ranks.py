"""A process that never comes, goes or hangs ends the others with one line, and soon."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
import yaml

from genolm.training.lost_ranks import is_lost, say_who_is_lost, say_who_never_came
from genolm.training.ranks import Ranks

CLOSED = (
    "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:553] Connection closed by peer "
    "[127.0.0.1]:30940. This is typically caused by a remote worker crashing. Check the logs"
)
LATE = (
    "[/pytorch/third_party/gloo/gloo/transport/tcp/unbound_buffer.cc:78] Timed out waiting 4000ms "
    "for recv operation to complete"
)


@pytest.fixture
def recipe(genome, tmp_path):
    values = {
        "model": {"family": "caduceus", "d_model": 8, "n_layer": 1},
        "data": {"fasta": str(genome), "length": 32, "train": "I", "valid": "II", "test": "III"},
        "objective": "masked_lm",
        "train": {
            "steps": 100_000,
            "batch_size": 2,
            "save_every": 5,
            "eval_every": 100_000,
            "log_every": 1,
            "precision": "float32",
            "threads": 1,
            "rank_timeout": 0.5,
        },
        "output": str(tmp_path / "run"),
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def start(recipe, rank, port, *arguments):
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "genolm", "pretrain", str(recipe), *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def complaint(process):
    """The line that the process ends with."""
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 1, said
    assert "Traceback" not in said
    (line,) = [line for line in said.splitlines() if line.startswith("genolm: error")]
    return line


def free_port():
    return torch.distributed.TCPStore("127.0.0.1", 0, 1, True).port


def test_a_process_that_never_comes_is_waited_for_as_long_as_was_said(recipe):
    line = complaint(start(recipe, 0, free_port(), "train.rank_timeout=0.02"))
    assert "process 0 of 2 waited 0.02 minutes for the others (train.rank_timeout)" in line
    assert "start all 2" in line


@pytest.mark.slow  # starts torch twice
@pytest.mark.parametrize("lost", [1, 0])
def test_a_process_that_is_killed_ends_the_other_beside_a_whole_checkpoint(recipe, lost, tmp_path):
    port = free_port()
    processes = [start(recipe, rank, port) for rank in range(2)]
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("run/checkpoints/checkpoint-*/complete.json")):
        assert time.monotonic() < deadline
        assert all(process.poll() is None for process in processes), processes[0].communicate()
        time.sleep(0.1)
    processes[lost].send_signal(signal.SIGKILL)
    line = complaint(processes[1 - lost])
    processes[lost].communicate()
    assert f"process {1 - lost} of 2: another process has gone; the checkpoint of step" in line
    assert "is whole, and the same command goes on from it" in line


def test_what_torch_says_is_told_apart(tmp_path):
    with (
        pytest.raises(ConnectionError, match=r"not answered for 3 minutes .*no checkpoint yet"),
        say_who_is_lost(0, 2, 3, tmp_path),
    ):
        raise RuntimeError(LATE)
    with (
        pytest.raises(ConnectionError, match="the first one was not found"),
        say_who_never_came(1, 2, 3),
    ):
        raise RuntimeError(CLOSED)
    with pytest.raises(RuntimeError, match="shapes"), say_who_is_lost(0, 2, 3, tmp_path):
        raise RuntimeError("shapes do not match")
    assert not is_lost(RuntimeError("CUDA out of memory"))


def test_alone_nobody_is_waited_for():
    Ranks().wait(patiently=True)
