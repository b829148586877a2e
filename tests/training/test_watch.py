"""What a training makes of the machine, and the peaks it is measured against."""

import json
import mmap
from pathlib import Path

import numpy as np
import pytest
import torch

from genolm.models.cost import count_cost
from genolm.models.families import FAMILIES
from genolm.training import peak
from genolm.training.peak import GPU_TERAFLOPS, gpu_peak, peak_flops
from genolm.training.pretrain import pretrain
from genolm.training.ranks import Ranks
from genolm.training.watch import STATUS, Watch, count_steps, peak_memory, tell_machine

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "precision", "teraflops"),
    [
        ("NVIDIA A100-SXM4-80GB", "bf16", 312.0),
        ("NVIDIA A100 80GB PCIe", "float32", 19.5),
        ("NVIDIA H100 80GB HBM3", "fp16", 989.4),
        ("NVIDIA H100 PCIe", "bf16", 756.0),
        ("NVIDIA H200", "bf16", 989.4),
        ("NVIDIA RTX A5000", "bf16", 111.1),
        ("NVIDIA L4", "bf16", 121.0),
        ("NVIDIA L40S", "bf16", 362.0),
        ("Tesla T4", "fp16", 65.0),
    ],
)
def test_a_known_gpu_has_the_peak_of_its_data_sheet(name, precision, teraflops):
    assert gpu_peak(name, precision) == teraflops * 1e12


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("NVIDIA A10G", "bf16"),
        ("NVIDIA GeForce GTX 1080", "float32"),
        ("Tesla T4", "bf16"),
        ("Tesla V100-SXM2-16GB", "bf16"),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "bf16"),
        ("NVIDIA H200 NVL", "bf16"),
        ("NVIDIA RTX A5000 Laptop GPU", "bf16"),
        ("GRID A100-10C", "bf16"),
        ("NVIDIA A10-24Q", "bf16"),
    ],
)
def test_a_peak_that_nobody_knows_is_not_invented(name, precision):
    assert gpu_peak(name, precision) is None


def test_half_precision_is_faster_on_every_gpu():
    assert all(half > single for single, half in GPU_TERAFLOPS.values())


def test_the_peak_of_a_cpu_is_measured_once():
    first = peak_flops(CPU, "float32")
    assert first > 1e8
    assert peak_flops(CPU, "float32") == first
    assert peak._measure.cache_info().hits >= 1


def test_utilisation_is_operations_over_what_the_peak_would_have_done():
    watch = Watch(CPU, lambda step: 100.0 * step, peak=1000.0)
    figures = watch.figures(2, 4, seconds=2.0)
    assert figures["mfu"] == pytest.approx((200 + 300 + 400) / 2 / 1000)
    assert figures["peak_memory_bytes"] == pytest.approx(peak_memory(CPU), rel=0.01)  # it may grow
    assert tell_machine(figures).startswith(", 45 % of peak, ")


def test_what_is_unknown_is_left_out():
    assert Watch(CPU, lambda step: 1.0, None).figures(1, 2, 1.0).keys() == {"peak_memory_bytes"}
    assert Watch(CPU).figures(1, 2, 1.0).keys() == {"peak_memory_bytes"}


def test_memory_is_a_high_water_mark():
    if not STATUS.is_file():
        pytest.skip("the mark can be set back on Linux only")
    Path("/proc/self/clear_refs").write_text("5")
    before, size = peak_memory(CPU), 64 << 20
    # Not from the allocator, which may have kept as much from tests before.
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as block:
        np.frombuffer(block, dtype=np.uint8).fill(1)
        after = peak_memory(CPU)
    assert 0.9 * size < after - before < 2 * size
    assert peak_memory(CPU) > 0.99 * after  # the kernel counts threads in batches


def test_memory_that_nobody_counts_is_left_out(monkeypatch, tmp_path):
    monkeypatch.setattr("genolm.training.watch.STATUS", tmp_path / "none")
    monkeypatch.setattr("sys.platform", "win32")
    assert peak_memory(CPU) is None
    assert Watch(CPU).figures(1, 1, 1.0) == {}


def test_a_step_costs_what_its_stage_shows(pretraining):
    model = {"family": "hyenadna", "d_model": 8, "n_layer": 1}
    stages = [{"length": 8, "steps": 2}, {"length": 16, "steps": 1}]
    recipe = pretraining(
        model=model, objective="causal_lm", train={"length_stages": stages, "accumulate": 3}
    )
    config = FAMILIES["hyenadna"].config(d_model=8, n_layer=1, max_seq_len=34)
    flops = count_steps(config, recipe, Ranks(size=2))
    tokens = 32 * 2 * 3
    for steps, length, rows in ((range(1, 3), 8, 4), (range(3, 4), 16, 2), (range(4, 7), 32, 1)):
        cost = count_cost(config, length, batch_size=rows).training_flops
        assert [flops(step) for step in steps] == [tokens * cost] * len(steps)


def test_a_run_tells_speed_utilisation_memory_and_time_left(pretraining, capsys, monkeypatch):
    monkeypatch.setattr("genolm.console.LOG_EVERY_SECONDS", 0.0)
    recipe = pretraining()
    pretrain(recipe)
    lines = [json.loads(x) for x in (recipe.output / "metrics.jsonl").read_text().splitlines()]
    logged = [line for line in lines if "loss" in line]
    assert logged
    for line in logged:
        assert 0 < line["mfu"] < 1.5
        assert line["peak_memory_bytes"] > 50 << 20
    said = capsys.readouterr().err
    assert "counting: two_sided_2 " in said
    assert any(
        all(word in line for word in ("bits/base", "tokens/s", "% of peak", "iB", " left"))
        for line in said.splitlines()
    )
