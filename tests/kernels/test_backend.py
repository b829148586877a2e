import os
import subprocess
import sys
import warnings
from contextlib import nullcontext

import pytest
import torch

import genolm_kernels
from genolm_kernels import _backend, causal_conv1d, use_backend


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(2, 7, 4), torch.randn(4, 3)


def chosen(**options: object) -> str:
    from genolm_kernels.causal_conv1d import BACKENDS

    args = (*inputs(), None, False, False)
    backend = _backend.choose("causal_conv1d", BACKENDS, options.get("backend"), *args)
    return backend.name


def test_without_a_wish_the_first_willing_backend_runs():
    assert chosen() == "cpu"


def test_argument_beats_context_beats_environment(monkeypatch):
    monkeypatch.setenv("GENOLM_BACKEND", "cpu")
    with use_backend("reference"):
        assert chosen() == "reference"
        assert chosen(backend="cpu") == "cpu"
        with use_backend("cpu"):
            assert chosen() == "cpu"
        assert chosen() == "reference"
    monkeypatch.setenv("GENOLM_BACKEND", "reference")
    assert chosen() == "reference"


def test_context_ends_with_an_exception():
    with pytest.raises(RuntimeError), use_backend("reference"):
        raise RuntimeError
    assert chosen() == "cpu"


def test_unknown_backend_is_an_error_naming_the_known_ones():
    with pytest.raises(ValueError, match=r"no backend 'cuda'; it has .*cpu, reference"):
        causal_conv1d(*inputs(), backend="cuda")


@pytest.mark.parametrize("way", ["argument", "context", "environment"])
def test_backend_asked_for_by_name_gives_its_reason_and_never_falls_back(way, monkeypatch):
    x, weight = (tensor.to("meta") for tensor in inputs())
    assert causal_conv1d(x, weight).device.type == "meta"
    if way == "environment":
        monkeypatch.setenv("GENOLM_BACKEND", "cpu")
    context = use_backend("cpu") if way == "context" else nullcontext()
    reason = r"causal_conv1d: backend 'cpu' cannot run this call: .* on meta"
    with context, pytest.raises(ValueError, match=reason):
        causal_conv1d(x, weight, backend="cpu" if way == "argument" else None)


def test_cuda_tensors_on_the_reference_are_warned_about():
    class OnGpu(torch.Tensor):
        is_cuda = True

    def warned(tensor):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            reference = _backend.Backend("reference", torch.neg, _backend.never, _backend.never)
            assert _backend.choose("op", (reference,), None, tensor) is reference
        return [str(warning.message) for warning in caught]

    assert warned(torch.ones(1)) == []
    assert warned(torch.ones(1).as_subclass(OnGpu)) == [
        "op runs its slow reference on CUDA tensors"
    ]


def test_backends_lists_every_operator_with_its_reference():
    listed = genolm_kernels.backends()
    operators = {"selective_scan", "causal_conv1d", "gated_short_conv", "add_norm", "fft_conv"}
    assert operators <= set(listed)
    for described in listed.values():
        assert described["cpu"] == "runs here"
        assert list(described)[-1] == "reference"
        assert described["reference"] == "runs here"


def test_imports_with_torch_alone():
    code = (
        "import sys, genolm_kernels\n"
        "print(*(m for m in ('genolm', 'transformers', 'triton') if m in sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert shown.stdout.strip() == ""
