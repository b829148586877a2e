"""Several processes train as one does: the same samples, the same losses."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
import yaml
from safetensors.torch import load_file

from genolm.errors import UsageError
from genolm.training.finetune import finetune
from genolm.training.pretrain import count_targets, pretrain
from genolm.training.ranks import Ranks

MODELS = {
    "masked_lm": {"family": "caduceus", "d_model": 8, "n_layer": 1, "rcps": True},
    "causal_lm": {"family": "hyenadna", "d_model": 8, "n_layer": 1},
}
GENOMES = [
    {"name": "a", "weight": 2, "train": ["I"], "valid": ["II"], "test": ["III"]},
    {"name": "b", "weight": 1, "train": ["III"], "valid": ["II"], "test": ["I"]},
]


def recipe(genome, tmp_path, name, objective, steps, *, several=False):
    values = {
        "model": MODELS[objective],
        "data": {
            "fasta": str(genome),
            "length": 64,
            "train": ["I"],
            "valid": ["II"],
            "test": ["III"],
            "soft_mask_weight": 0.5,
        },
        "objective": objective,
        "train": {
            "steps": steps,
            "batch_size": 4,
            "accumulate": 2,
            "save_every": 3,
            "eval_every": 3,
            "log_every": 1,
            "eval_windows": 4,
            "test_windows": 4,
            "precision": "float32",
            "threads": 1,
        },
        "output": str(tmp_path / name),
    }
    if several:
        listed = [{"fasta": str(genome)} | one for one in GENOMES]
        values["data"] = {"genomes": listed, "length": 64, "soft_mask_weight": 0.5}
    path = tmp_path / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values))
    return path, tmp_path / name


def run(path, processes, *arguments):
    command = ["-m", "genolm", "pretrain", str(path), *arguments]
    if processes > 1:
        launcher = ["-m", "torch.distributed.run", "--standalone"]
        command = [*launcher, "--nproc-per-node", str(processes), *command]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, env=environment, check=False
    )


def figures(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [
        (line["step"], key, line[key])
        for line in lines
        for key in ("loss", "grad_norm", "valid_loss")
        if key in line
    ]


def forget_the_end(folder):
    """Make a run one that was stopped after its last checkpoint."""
    (folder / "metrics.json").unlink()
    shutil.rmtree(folder / "model")


def assert_alike(one, other):
    assert [row[:2] for row in figures(one)] == [row[:2] for row in figures(other)]
    for (_, _, mine), (_, _, theirs) in zip(figures(one), figures(other), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-5)
    ours, others = (load_file(place / "model" / "model.safetensors") for place in (one, other))
    for key, weight in ours.items():
        torch.testing.assert_close(weight, others[key], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("objective", "several"),
    [
        ("masked_lm", False),
        # Each of these starts torch five times more.
        pytest.param("causal_lm", False, marks=pytest.mark.slow),
        pytest.param("causal_lm", True, marks=pytest.mark.slow),
    ],
    ids=["masked", "causal", "several genomes"],
)
def test_two_processes_have_the_losses_of_one_with_the_same_batch(
    genome, tmp_path, objective, several
):
    alone, one = recipe(genome, tmp_path, "alone", objective, 6, several=several)
    together, two = recipe(genome, tmp_path, "together", objective, 6, several=several)
    done = run(alone, 1)
    assert done.returncode == 0, done.stderr
    # Nor does it matter what is computed again in the backward pass.
    parts = "mixer" if objective == "masked_lm" else "both"
    done = run(together, 2, f"train.checkpointing={parts}")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("pretraining ") == 1  # one of them speaks
    assert_alike(one, two)


@pytest.mark.slow  # starts torch five times
def test_another_number_of_processes_goes_on_in_the_same_order_and_says_so(genome, tmp_path):
    whole, one = recipe(genome, tmp_path, "whole", "masked_lm", 6)
    changed, two = recipe(genome, tmp_path, "changed", "masked_lm", 6)
    assert run(whole, 1).returncode == 0
    assert run(changed, 2, "train.max_minutes=0.0001").returncode == 0
    forget_the_end(two)
    done = run(changed, 1)
    assert done.returncode == 0, done.stderr
    assert "1 processes go on where 2 stopped" in done.stderr
    assert_alike(one, two)


def test_a_batch_that_cannot_be_shared_out_is_refused():
    assert Ranks(1, 4).split(8) == 2
    with pytest.raises(UsageError, match="6 windows cannot be shared out over 4 processes"):
        Ranks(0, 4).split(6)


def test_alone_nothing_is_exchanged():
    ranks = Ranks()
    value = torch.tensor(2.0)
    assert ranks.leads
    assert ranks.sum(value) is value
    assert ranks.any(True)
    assert not ranks.any(False)
    assert ranks.share("x") == "x"
    ranks.wait()


def test_fine_tuning_is_refused_where_there_are_several(finetuning, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="runs in one process"):
        finetune(finetuning())


@pytest.mark.parametrize(("causal", "expected"), [(False, 1.5), (True, 1.0)])
def test_targets_count_by_their_weights(causal, expected):
    batch = {
        "labels": torch.tensor([[7, -100, 8, 9]]),
        "loss_weights": torch.tensor([[0.5, 1.0, 0.5, 0.5]]),
    }
    assert float(count_targets(batch, causal=causal)) == expected
    del batch["loss_weights"]
    assert float(count_targets(batch, causal=causal)) == (2 if causal else 3)


def test_one_process_trains_without_a_group(pretraining):
    assert pretrain(pretraining(train={"steps": 1})).is_dir()
    assert not torch.distributed.is_initialized()


@pytest.mark.parametrize("objective", ["causal_lm", "masked_lm"])
@pytest.mark.slow  # starts torch four times
def test_processes_that_share_windows_have_the_losses_of_one(genome, tmp_path, objective):
    alone, one = recipe(genome, tmp_path, "alone", objective, 6)
    together, two = recipe(genome, tmp_path, "together", objective, 6)
    stages = "train.length_stages=[{length: 32, steps: 2}]"
    done = run(alone, 1, stages)
    assert done.returncode == 0, done.stderr
    done = run(together, 4, stages, "train.sequence_ranks=2")
    assert done.returncode == 0, done.stderr
    assert_alike(one, two)


@pytest.mark.parametrize("objective", ["masked_lm", "causal_lm"])
@pytest.mark.slow  # starts torch six times
def test_processes_that_share_the_weights_have_the_losses_of_one(genome, tmp_path, objective):
    alone, one = recipe(genome, tmp_path, "alone", objective, 6)
    together, two = recipe(genome, tmp_path, "together", objective, 6)
    done = run(alone, 1)
    assert done.returncode == 0, done.stderr
    assert run(together, 2, "train.sharding=fsdp", "train.max_minutes=0.0001").returncode == 0
    forget_the_end(two)
    done = run(together, 2, "train.sharding=fsdp")
    assert done.returncode == 0, done.stderr
    assert "resuming at step" in done.stderr
    assert_alike(one, two)
    files = [load_file(place / "model" / "model.safetensors") for place in (one, two)]
    assert files[0].keys() == files[1].keys()
    configs = [json.loads((place / "model" / "config.json").read_text()) for place in (one, two)]
    assert configs[0] == configs[1]
    checkpoints = [sorted(place.glob("checkpoints/checkpoint-6/*")) for place in (one, two)]
    names = [[file.name for file in files if "rng" not in file.name] for files in checkpoints]
    assert names[0] == names[1]


@pytest.mark.slow  # starts torch five times
def test_weights_and_windows_can_be_shared_at_once(genome, tmp_path):
    alone, one = recipe(genome, tmp_path, "alone", "causal_lm", 6)
    together, two = recipe(genome, tmp_path, "together", "causal_lm", 6)
    assert run(alone, 1).returncode == 0
    done = run(together, 4, "train.sharding=fsdp", "train.sequence_ranks=2")
    assert done.returncode == 0, done.stderr
    assert_alike(one, two)
