import pytest
import torch

import genolm_kernels
from genolm_kernels import self_test
from genolm_kernels._backend import RUNS_HERE

RUNNING = [
    (operator, backend)
    for operator, backends in genolm_kernels.backends().items()
    for backend, status in backends.items()
    if status == RUNS_HERE
]


def test_every_operator_has_a_sample():
    assert set(genolm_kernels.backends()) <= set(self_test.SAMPLES)


@pytest.mark.parametrize(("operator", "backend"), RUNNING)
def test_every_backend_that_runs_here_passes(operator, backend):
    found = self_test.check(operator, backend)
    assert found.failure is None
    assert found.error <= self_test.TOLERANCE


def disturb(monkeypatch, change) -> None:
    """Let the `cpu` backend of one operator give other outputs than it should."""
    right = genolm_kernels.causal_conv1d

    def wrong(*args, backend, **options):
        outputs = right(*args, backend=backend, **options)
        return change(outputs) if backend == "cpu" else outputs

    monkeypatch.setattr(genolm_kernels, "causal_conv1d", wrong)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y: y * (1 + 1e-3), "is off by 1.0e-03"),
        (lambda y: y.detach(), "ValueError: "),  # the gradients are missing
        (lambda y: y * torch.nan, "is off by nan"),
        (lambda y: y[:, 1:], "RuntimeError: The size of tensor"),
    ],
)
def test_a_backend_that_computes_something_else_fails(change, message, monkeypatch):
    disturb(monkeypatch, change)
    found = self_test.check("causal_conv1d", "cpu")
    assert message in found.failure
    assert self_test.check("causal_conv1d", "reference").failure is None


def test_a_backend_that_does_not_run_here_is_listed_with_its_reason(monkeypatch):
    monkeypatch.setattr(
        genolm_kernels, "backends", lambda: {"fft_conv": {"triton": "no GPU", "cpu": RUNS_HERE}}
    )
    first, second = self_test.self_test()
    assert first == ("fft_conv", "triton", "no GPU", None, None)
    assert second[:3] == ("fft_conv", "cpu", RUNS_HERE)
    assert second.failure is None
