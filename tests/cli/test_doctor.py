import json

import pytest

import genolm_kernels
from genolm.cli import main as cli


@pytest.fixture(autouse=True)
def _two_operators(monkeypatch):
    """The command's own work; that all operators pass is asked of them in the kernels' tests."""
    everything = genolm_kernels.backends()
    few = {name: everything[name] for name in ("causal_conv1d", "fft_conv")}
    few["fft_conv"] = {"abacus": "it is in genolm[museum]", **few["fft_conv"]}
    monkeypatch.setattr(genolm_kernels, "backends", lambda: few)


def break_one_backend(monkeypatch):
    right = genolm_kernels.causal_conv1d

    def wrong(*args, backend, **options):
        return right(*args, backend=backend, **options) + (backend == "cpu")

    monkeypatch.setattr(genolm_kernels, "causal_conv1d", wrong)


def test_it_shows_each_operator_on_each_backend_and_what_runs(capsys):
    assert cli.run(["doctor"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for wanted in (
        *("causal_conv1d", "fft_conv", "abacus", "it is in genolm[museum]", "cpu", "runs here"),
        *("compiled library", "torch 2.", "transformers 5.", "triton", "threads", "CUDA"),
    ):
        assert wanted in shown
    assert "all that runs here computes the same" in shown


def test_it_says_why_no_compiled_library_runs(capsys, monkeypatch):
    monkeypatch.setenv("GENOLM_NATIVE", "off")
    assert cli.run(["doctor"]) == 0
    assert "none, torch computes instead: GENOLM_NATIVE=off" in capsys.readouterr().out


def test_a_library_that_is_insisted_on_and_unknown_is_one_line_and_exit_code_1(capsys, monkeypatch):
    monkeypatch.setenv("GENOLM_NATIVE", "quickly")
    assert cli.run(["doctor"]) == 1
    assert capsys.readouterr().err.startswith("genolm: error: GENOLM_NATIVE=quickly: choose from")


def test_a_wrong_backend_is_named_and_exit_code_1(capsys, monkeypatch):
    break_one_backend(monkeypatch)
    assert cli.run(["doctor"]) == 1
    assert "WRONG: causal_conv1d on cpu: is off by" in capsys.readouterr().out


@pytest.mark.parametrize("broken", [False, True])
def test_json_says_the_same_to_machines(broken, capsys, monkeypatch):
    if broken:
        break_one_backend(monkeypatch)
    assert cli.run(["doctor", "--json"]) == int(broken)
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] is not broken
    rows = {(row["operator"], row["backend"]): row for row in said["operators"]}
    assert rows["fft_conv", "abacus"]["status"] == "it is in genolm[museum]"
    assert rows["fft_conv", "cpu"]["error"] < 1e-5
    assert (rows["causal_conv1d", "cpu"]["failure"] is not None) is broken
    assert said["compiled"]["kind"] in {"shipped", "jit", "none"}
    assert said["versions"]["torch"]
