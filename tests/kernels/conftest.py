import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from genolm_kernels import _triton
from genolm_kernels.native import library

GOLDEN = Path(__file__).parents[1] / "fixtures" / "golden"

# Largest difference from the float64 reference on the same numbers, relative to the largest value.
TOLERANCE = {
    torch.float64: 1e-12,
    torch.float32: 5e-6,
    torch.bfloat16: 1e-2,
    torch.float16: 1e-3,
}


@pytest.fixture
def tolerance() -> dict[torch.dtype, float]:
    return TOLERANCE


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
            cotangents.extend(
                torch.randn(o.shape, device=o.device).to(dtype).double() for o in outputs
            )
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


@pytest.fixture(params=["compiled", "torch"])
def code(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both with the compiled library, where there is one, and without."""
    if request.param == "torch":
        monkeypatch.setenv("GENOLM_NATIVE", "off")
        assert library() is None
    elif library() is None:
        pytest.skip("there is no compiled library")
    return request.param


@pytest.fixture
def compiled() -> None:
    """With the compiled library, whose sums have a fixed order; torch's do not."""
    if library() is None:
        pytest.skip("there is no compiled library")


@pytest.fixture
def assert_same_bits_on_any_threads() -> Iterator[Callable[..., None]]:
    """Assert that outputs and gradients of an operator do not depend on the number of threads."""
    before = torch.get_num_threads()

    def check(operator: Callable[..., tuple[Tensor, ...]], leaves: list[Tensor]) -> None:
        results = []
        for threads in (1, 2, 3, 2):
            torch.set_num_threads(threads)
            outputs = operator(*leaves)
            ones = [torch.linspace(-1, 1, o.numel()).view(o.shape) for o in outputs]
            results.append((*outputs, *torch.autograd.grad(outputs, leaves, ones)))
        for others in results[1:]:
            assert all(a.equal(b) for a, b in zip(results[0], others, strict=True))

    yield check
    torch.set_num_threads(before)


@pytest.fixture
def triton_device() -> str:
    """Where Triton kernels run: on the GPU, or on the CPU in Triton's interpreter."""
    if reason := _triton.unavailable():
        pytest.skip(reason)
    return "cpu" if _triton.INTERPRETED else "cuda"


@pytest.fixture
def gpu(triton_device: str) -> str:
    """A real GPU."""
    if triton_device == "cpu":
        pytest.skip("there is no CUDA device")
    return triton_device


@pytest.fixture(params=["as shipped", "many small pieces"])
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """As shipped, and plain torch with tiles so small that short sequences take many of them."""
    if request.param == "many small pieces":
        monkeypatch.setenv("GENOLM_NATIVE", "off")
        sizes = {
            "selective_scan.tiles": {
                "TILE_ELEMENTS": 600,
                "SEGMENT_ELEMENTS": 300,
                "BLOCK_ELEMENTS": 250,
                "FEWEST_STEPS": 3,
            },
            "selective_scan.recurrence": {"SMALL_STEP": 60},
            "causal_conv1d.cpu": {"TILE_ELEMENTS": 60, "FEWEST_STEPS": 3},
            "fft_conv.tiles": {"TILE_ELEMENTS": 100, "FEWEST_CHANNELS": 2},
        }
        for module, constants in sizes.items():
            for name, value in constants.items():
                monkeypatch.setattr(sys.modules[f"genolm_kernels.{module}"], name, value)
    return request.param


@pytest.fixture
def swift_interpreter(triton_device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton's interpreter, without its preparing the whole language anew at every inner call."""
    if triton_device != "cpu":
        return
    from triton import language
    from triton.runtime import interpreter

    prepared: set[int] = set()

    def call(function, *args, **options):
        names = function.fn.__globals__
        # The outermost kernel has prepared the language but for the module it is written in.
        if id(names) not in prepared:
            prepared.add(id(names))
            if any(value is language.core for value in names.values()):
                interpreter._patch_lang(function.fn)
        return function.rewrite()(*args, **options)

    monkeypatch.setattr(interpreter.InterpretedFunction, "__call__", call)
