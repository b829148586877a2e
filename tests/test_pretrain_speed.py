"""The benchmark of pretraining steps: what it times is a step."""

import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "pretrain_speed.py"


@pytest.fixture(scope="module")
def speed():
    return runpy.run_path(str(SCRIPT))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hyenadna", "caduceus_ps"])
def test_a_step_learns_and_counts_its_operations(speed, name):
    step = speed["Step"](name, 64, speed["MODELS"][name][3])
    assert step.ids.numel() == speed["TOKENS"]
    first = step(moves=False)
    assert step() == pytest.approx(first, rel=1e-3)
    assert step() < first
    assert step.flops() > 6 * step.ids.numel() * 50_000  # of more than 50,000 weights
    assert all(weight.grad.isfinite().all() for weight in step.model.parameters())


def test_a_window_longer_than_a_step_is_one_by_itself(speed):
    assert speed["Step"]("hyenadna", 16_384).ids.shape == (1, 16_384)


def test_rows_say_what_failed(speed):
    shown = speed["describe"]("hyenadna", 1024, "none", {"failed": "no memory"})
    assert shown == "| hyenadna | 1,024 | - | none | no memory |"
    row = {"windows": 8, "tokens_per_second": 1234.0, "mfu": 0.1, "peak_memory_bytes": 1 << 30}
    shown = speed["describe"]("hyenadna", 1024, "both", row)
    assert shown == "| hyenadna | 1,024 | 8 | both | 1,234 | 10 % | 1.0 GiB |"
