"""Every Triton kernel compiles for GPUs that are not here, and keeps within its registers."""

import importlib.util
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

KERNELS = Path(__file__).parents[2] / "kernels"
SCRIPT = KERNELS / "compile_ahead.py"

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="triton installs on Linux only")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    # Kernels defined under the interpreter, which other tests use, could not be compiled.
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    return subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


def operators_with_kernels() -> set[str]:
    return {path.parent.name for path in KERNELS.glob("genolm_kernels/*/triton*.py")}


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("compile_ahead", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    # Data classes look their module up by name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def check(path: Path, *arches: int, options: tuple[str, ...] = ()) -> None:
    done = run("--arch", *arches, "--json", path, *options)
    assert done.returncode == 0, done.stderr
    table = json.loads(path.read_text())
    assert {"python", "torch", "triton"} <= set(table["versions"])
    found = {(kernel["module"].split(".")[1], kernel["arch"]) for kernel in table["kernels"]}
    assert found == {(name, arch) for name in operators_with_kernels() for arch in arches}
    for kernel in table["kernels"]:
        assert 0 < kernel["registers"] <= kernel["most_registers"]
        assert kernel["spills"] == kernel["stack"] == kernel["local"] == 0
        assert f"{kernel['name']} " in done.stdout


def test_every_kernel_compiles_for_hopper_without_spills(tmp_path):
    check(tmp_path / "kernels.json", 90, options=("--first",))


@pytest.mark.slow
def test_every_specialisation_compiles_for_every_architecture_without_spills(tmp_path):
    check(tmp_path / "kernels.json", 80, 90, 100)


def test_unknown_operators_are_errors_that_name_the_known_ones():
    done = run("--operator", "causal_convolution")
    assert done.returncode != 0
    assert "causal_conv1d" in done.stderr


@pytest.mark.parametrize(
    ("figures", "fault"),
    [
        ({"spills": 2}, "2 spills"),
        ({"stack": 8}, "stack 8"),
        ({"local": 16}, "local memory 16"),
        ({"registers": 129, "most_registers": 128}, "129 registers, 128 allowed"),
        ({"registers": 130, "num_warps": 16}, "do not fit"),
        ({"error": "CompilationError: no"}, "does not compile: CompilationError: no"),
    ],
)
def test_what_is_wrong_with_a_kernel_is_said(script, figures, fault):
    assert list(script.Kernel("genolm_kernels.op.triton", "good", 90, registers=128).faults()) == []
    bad = script.Kernel("genolm_kernels.op.triton", "bad", 90, **figures)
    assert fault in " ".join(bad.faults())


@pytest.mark.parametrize(("spills", "status"), [(0, 0), (3, 1)])
def test_any_fault_ends_the_command_with_status_1(script, spills, status, monkeypatch, capsys):
    # The command takes it out of its environment, which here is that of the other tests.
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    kernels = [script.Kernel("genolm_kernels.op.triton", "k", 90, spills=n) for n in (0, spills)]
    monkeypatch.setattr(script, "compile_all", lambda *_, **__: iter(kernels))
    assert script.main([]) == status
    told = "op k sm_90: 3 spills, stack 0, local memory 0\n"
    assert capsys.readouterr().err == (told if spills else "")


def test_a_kernel_that_does_not_compile_is_reported_beside_the_others(script):
    from concurrent.futures import Future

    broken, fine = Future(), Future()
    broken.set_exception(RuntimeError("no such instruction"))
    kernel = script.Kernel("genolm_kernels.op.triton", "bad", 90)
    fine.set_result(kernel)
    assert script._result(kernel, fine) is kernel
    assert "no such instruction" in script._result(kernel, broken).error
