import json
import runpy
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "kernels" / "benchmarks"


@pytest.fixture
def run(monkeypatch):
    """Run the benchmark script in this process with some arguments."""
    threads = torch.get_num_threads()
    monkeypatch.syspath_prepend(BENCHMARKS)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["run.py", *map(str, arguments)])
        runpy.run_path(str(BENCHMARKS / "run.py"), run_name="__main__")

    yield call
    torch.set_num_threads(threads)
    for name in ("peers", "shapes"):
        sys.modules.pop(name, None)


def test_prints_a_table_and_writes_the_same_numbers_as_json(run, tmp_path, capsys):
    out = tmp_path / "bench.json"
    run("causal_conv1d", "--backend", "cpu", "--repeats=1", "--threads=1", f"--out={out}")
    results = json.loads(out.read_text())
    assert results["about"]["threads"] == 1
    table = capsys.readouterr().out.splitlines()
    assert len(results["results"]) == len(table) - 1
    for row, line in zip(results["results"], table[1:], strict=True):
        assert row["backend"] == "cpu"
        assert f"{row['forward_ms']:.2f}" in line
        assert row["backward_ms"] > 0


def test_an_unknown_operator_is_an_error_that_lists_the_known_ones(run, capsys):
    with pytest.raises(SystemExit, match="2"):
        run("attention")
    assert "no operator attention; there are selective_scan, " in capsys.readouterr().err


@pytest.mark.slow
def test_wrong_results_are_not_timed(run, monkeypatch, capsys):
    import peers

    right = peers.causal_conv1d
    monkeypatch.setattr(peers, "causal_conv1d", lambda *inputs: right(*inputs) * 1.01)
    with pytest.raises(SystemExit, match="off by"):
        run("causal_conv1d", "--repeats=1", "--threads=1")
    assert "cpu" not in capsys.readouterr().out.split()
