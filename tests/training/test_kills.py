"""A run that is killed without warning, at any moment, ends with the bits of one that was not."""

import json
import random
import signal
import subprocess
import sys
import time

import pytest
import yaml
from safetensors.torch import load_file

from tests.training.outcomes import same

STEPS = 30


@pytest.fixture
def recipe(genome, tmp_path):
    def make(name):
        values = {
            "model": {"family": "caduceus", "d_model": 8, "n_layer": 1, "rcps": True},
            "data": {"fasta": str(genome), "length": 64, "valid": "II", "test": "III"},
            "objective": "masked_lm",
            "train": {
                "steps": STEPS,
                "batch_size": 2,
                "save_every": 3,
                "eval_every": 10,
                "log_every": 1,
                "eval_windows": 4,
                "test_windows": 4,
                "precision": "float32",
                "threads": 1,
            },
            "output": str(tmp_path / name),
        }
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(values))
        return path, tmp_path / name

    return make


def start(path):
    command = [sys.executable, "-m", "genolm", "pretrain", str(path), "-q"]
    return subprocess.Popen(command, stderr=subprocess.PIPE)


def steps_done(folder):
    lines = folder / "metrics.jsonl"
    return lines.read_bytes().count(b"\n") if lines.is_file() else 0


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def kill_after(process, folder, lines, delay):
    """Wait until the run has logged some lines more, and a moment, and kill it."""
    goal = steps_done(folder) + lines
    while process.poll() is None and steps_done(folder) < goal:
        time.sleep(0.002)
    time.sleep(delay)
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.communicate()


def check(recipe, kills):
    draw = random.Random(7)
    path, folder = recipe("whole")
    assert start(path).wait() == 0
    killed, torn = recipe("killed")
    for _ in range(kills):
        # Few steps at a time, or the run would be over before its last kill.
        kill_after(start(killed), torn, draw.randint(1, 5), draw.random() * 0.05)
    assert start(killed).wait() == 0
    one, other = (load_file(place / "model" / "model.safetensors") for place in (folder, torn))
    assert same(one, other)
    assert names(folder) == names(torn)


def test_two_kills_change_no_bit(recipe):
    check(recipe, 2)


@pytest.mark.slow  # twenty starts of Python and torch
def test_twenty_kills_change_no_bit(recipe):
    check(recipe, 20)


def test_sigterm_leaves_a_checkpoint_and_exits_143(recipe):
    path, folder = recipe("ended")
    process = start(path)
    while process.poll() is None and steps_done(folder) < 4:
        time.sleep(0.002)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 143
    assert said.splitlines()[-1] == b"genolm: error: stopped by SIGTERM"
    saved = max(int(name.split("-")[1]) for name in names(folder / "checkpoints"))
    last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert saved == last["step"] < STEPS
