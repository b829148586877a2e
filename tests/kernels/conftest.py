import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

GOLDEN = Path(__file__).parents[1] / "fixtures" / "golden"

# Largest difference from the float64 reference on the same numbers, relative to the largest value.
TOLERANCE = {
    torch.float64: 1e-12,
    torch.float32: 5e-6,
    torch.bfloat16: 1e-2,
    torch.float16: 1e-3,
}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _no_backend_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GENOLM_BACKEND", raising=False)


@pytest.fixture
def golden() -> Callable[[str], dict[str, np.ndarray]]:
    def load(name: str) -> dict[str, np.ndarray]:
        with np.load(GOLDEN / f"{name}.npz") as file:
            return dict(file)

    return load


@pytest.fixture
def nan_filled_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that is read before it is written shows as NaN."""

    def filled(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def wrapper(*args: object, **options: object) -> Tensor:
            tensor = make(*args, **options)
            return tensor.fill_(torch.nan) if tensor.is_floating_point() else tensor

        return wrapper

    for name in ("empty", "empty_like", "empty_strided"):
        monkeypatch.setattr(torch, name, filled(getattr(torch, name)))
    for name in ("new_empty", "new_empty_strided"):
        monkeypatch.setattr(Tensor, name, filled(getattr(Tensor, name)))


@pytest.fixture
def assert_agrees(nan_filled_empty: None) -> Callable[..., None]:
    """Assert that a backend gives the float64 reference's outputs and gradients."""

    def results(operator, tensors, cotangents, dtype, backend, options):
        leaves = {
            name: value.to(dtype).requires_grad_() if value is not None else None
            for name, value in tensors.items()
        }
        outputs = operator(**leaves, **options, backend=backend)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        if not cotangents:
            cotangents.extend(torch.randn(o.shape).to(dtype).double() for o in outputs)
        torch.autograd.backward(
            outputs, [c.to(o.dtype) for c, o in zip(cotangents, outputs, strict=True)]
        )
        found = {f"output {i}": output.detach() for i, output in enumerate(outputs)}
        return found | {f"d{n}": leaf.grad for n, leaf in leaves.items() if leaf is not None}

    def check(operator, tensors, *, dtype, backend, **options) -> None:
        rounded = {n: t if t is None else t.to(dtype).double() for n, t in tensors.items()}
        cotangents: list[Tensor] = []
        found = results(operator, rounded, cotangents, dtype, backend, options)
        wanted = results(operator, rounded, cotangents, torch.float64, "reference", options)
        for name, value in wanted.items():
            error = (found[name].double() - value).abs().max() / value.abs().max()
            assert error <= TOLERANCE[dtype], f"{name} is off by {error:.1e}"

    return check


@pytest.fixture(params=["as shipped", "many small pieces"])
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both the shipped tile sizes and ones so small that short sequences take many tiles."""
    if request.param == "many small pieces":
        sizes = {
            "selective_scan.tiles": {
                "TILE_ELEMENTS": 600,
                "SEGMENT_ELEMENTS": 300,
                "BLOCK_ELEMENTS": 250,
                "FEWEST_STEPS": 3,
            },
            "selective_scan.recurrence": {"SMALL_STEP": 60},
            "causal_conv1d.cpu": {"TILE_ELEMENTS": 60, "FEWEST_STEPS": 3},
            "fft_conv.cpu": {"TILE_ELEMENTS": 100, "FEWEST_CHANNELS": 2},
        }
        for module, constants in sizes.items():
            for name, value in constants.items():
                monkeypatch.setattr(sys.modules[f"genolm_kernels.{module}"], name, value)
    return request.param
