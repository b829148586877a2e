"""Every operator on every backend that runs here, against the reference in float64.

Small enough to run in seconds anywhere, interpreted Triton kernels included; `genolm doctor`
prints it. The test suite asks far more of each operator.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

import genolm_kernels
from genolm_kernels._backend import RUNS_HERE
from genolm_kernels.bidirectional_scan import ScanInputs

# Relative to the largest value; float32 rounding stays far below, a wrong kernel far above.
TOLERANCE = 1e-4
_SEED = 20

BATCH, LENGTH, CHANNELS, STATE, WIDTH = 2, 21, 20, 16, 4
PARTS = 3
HEADS, HEAD_DIM, GROUPS = 4, 6, 2
SEQUENCE = (BATCH, LENGTH, CHANNELS)
MATRIX = (BATCH, LENGTH, STATE)
PER_CHANNEL = (CHANNELS,)

Leaves = dict[str, Tensor]
Outputs = Tensor | tuple[Tensor, ...]


@dataclass(frozen=True)
class Sample:
    """A small call of an operator.

    Attributes:
        shapes: Name to shape of each input, which get normally distributed numbers.
        call: Takes the operator and the inputs; returns the operator's outputs.
        gradients: Whether every backend computes them.
    """

    shapes: dict[str, tuple[int, ...]]
    call: Callable[[Callable[..., Any], Leaves], Outputs]
    gradients: bool = True


class Check(NamedTuple):
    """What became of one operator on one backend.

    Attributes:
        operator: The operator's name.
        backend: The backend's name.
        status: "runs here", or the reason why it does not.
        error: The largest relative error of outputs and gradients, None if nothing was computed.
        failure: What is wrong with a backend that should run here, or None.
    """

    operator: str
    backend: str
    status: str
    error: float | None = None
    failure: str | None = None


def _plain(**options: Any) -> Callable[[Callable[..., Any], Leaves], Outputs]:
    """A call with every input under its own name."""

    def call(run: Callable[..., Any], leaves: Leaves) -> Outputs:
        outputs: Outputs = run(**leaves, **options)
        return outputs

    return call


def _decaying(**options: Any) -> Callable[[Callable[..., Any], Leaves], Outputs]:
    """A call whose A is negative, as that of a stable recurrence is."""

    def call(run: Callable[..., Any], leaves: Leaves) -> Outputs:
        outputs: Outputs = run(**{**leaves, "A": -leaves["A"].exp()}, **options)
        return outputs

    return call


def _both_ways(run: Callable[..., Any], leaves: Leaves) -> Outputs:
    ways = []
    for way in ("forward", "backward"):
        inputs = {name: leaves[f"{way} {name}"] for name in _SCAN}
        ways.append(ScanInputs(**{**inputs, "A": -inputs["A"].exp()}))
    outputs: Outputs = run(*ways, leaves["z"], delta_softplus=True)
    return outputs


_SCAN = {
    "u": SEQUENCE,
    "delta": SEQUENCE,
    "A": (CHANNELS, STATE),
    "B": MATRIX,
    "C": MATRIX,
    "D": PER_CHANNEL,
    "delta_bias": PER_CHANNEL,
}
_STEP = {name: (s[0], *s[2:]) if s[:2] == SEQUENCE[:2] else s for name, s in _SCAN.items()}
_SSD = {
    "x": (BATCH, LENGTH, HEADS, HEAD_DIM),
    "dt": (BATCH, LENGTH, HEADS),
    "A": (HEADS,),
    "B": (BATCH, LENGTH, GROUPS, STATE),
    "C": (BATCH, LENGTH, GROUPS, STATE),
    "D": (HEADS,),
    "dt_bias": (HEADS,),
}
_SSD_STEP = {name: (s[0], *s[2:]) if s[:2] == SEQUENCE[:2] else s for name, s in _SSD.items()}
_FILTERS = {"weight": (CHANNELS, WIDTH), "bias": PER_CHANNEL}

SAMPLES: dict[str, Sample] = {
    "selective_scan": Sample({**_SCAN, "z": SEQUENCE}, _decaying(delta_softplus=True)),
    "bidirectional_scan": Sample(
        {f"{way} {name}": shape for way in ("forward", "backward") for name, shape in _SCAN.items()}
        | {"z": SEQUENCE},
        _both_ways,
    ),
    "causal_conv1d": Sample({"x": SEQUENCE, **_FILTERS}, _plain(activation="silu")),
    "gated_short_conv": Sample(
        {
            "x": (BATCH, LENGTH, PARTS * CHANNELS),
            "weight": (PARTS * CHANNELS, WIDTH),
            "bias": (PARTS * CHANNELS,),
        },
        _plain(parts=PARTS),
    ),
    "add_norm": Sample(
        {"hidden": SEQUENCE, "residual": SEQUENCE, "weight": PER_CHANNEL, "bias": PER_CHANNEL},
        _plain(),
    ),
    "fft_conv": Sample({"u": SEQUENCE, "k": (LENGTH, CHANNELS), "d": PER_CHANNEL}, _plain()),
    "ssd": Sample(_SSD, _decaying(dt_softplus=True, chunk_size=8)),
    "selective_scan_step": Sample(
        {"state": (BATCH, CHANNELS, STATE), **_STEP},
        _decaying(delta_softplus=True),
        gradients=False,
    ),
    "causal_conv1d_step": Sample(
        {"window": (BATCH, WIDTH - 1, CHANNELS), "x": (BATCH, CHANNELS), **_FILTERS},
        _plain(activation="silu"),
        gradients=False,
    ),
    "ssd_step": Sample(
        {"state": (BATCH, HEADS, HEAD_DIM, STATE), **_SSD_STEP},
        _decaying(dt_softplus=True),
        gradients=False,
    ),
}


def self_test() -> list[Check]:
    """Run every operator on every backend that runs here and compare it with the reference."""
    return [
        check(operator, backend) if status == RUNS_HERE else Check(operator, backend, status)
        for operator, backends in genolm_kernels.backends().items()
        for backend, status in backends.items()
    ]


def check(operator: str, backend: str) -> Check:
    """Run one operator on one backend and compare outputs and gradients with the reference."""
    try:
        error = largest_error(operator, backend)
    except _failures() as problem:
        failure = f"{type(problem).__name__}: {problem}"
        return Check(operator, backend, RUNS_HERE, None, " ".join(failure.split()))
    # Written so that NaN fails.
    wrong = None if error <= TOLERANCE else f"is off by {error:.1e}"
    return Check(operator, backend, RUNS_HERE, error, wrong)


def largest_error(operator: str, backend: str) -> float:
    """The largest difference from the float64 reference, relative to the largest value."""
    on_gpu = backend == "triton" and torch.cuda.is_available()
    found = _results(operator, backend, torch.float32, torch.device("cuda" if on_gpu else "cpu"))
    wanted = _results(operator, "reference", torch.float64, torch.device("cpu"))
    errors = [
        (ours - theirs).abs().max() / theirs.abs().max()
        for ours, theirs in zip(found, wanted, strict=True)
    ]
    return float(torch.stack(errors).max())  # max lets a NaN through


def _results(operator: str, backend: str, dtype: torch.dtype, device: torch.device) -> list[Tensor]:
    """Outputs, then the gradients of all inputs where the operator has them, as float64."""
    sample = SAMPLES[operator]
    numbers = torch.Generator().manual_seed(_SEED)
    leaves = {
        name: torch.randn(shape, generator=numbers)
        .to(device, dtype)
        .requires_grad_(sample.gradients)
        for name, shape in sample.shapes.items()
    }
    outputs = sample.call(partial(getattr(genolm_kernels, operator), backend=backend), leaves)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    results = [output.detach() for output in outputs]
    if differentiable := [output for output in outputs if output.requires_grad]:
        weights = [torch.randn(o.shape, generator=numbers).to(o) for o in differentiable]
        torch.autograd.backward(differentiable, weights)
        results += [leaf.grad for leaf in leaves.values() if leaf.grad is not None]
    return [result.cpu().double() for result in results]


def _failures() -> tuple[type[Exception], ...]:
    """What a broken backend may raise; Triton's errors share no base with Python's."""
    found: tuple[type[Exception], ...] = (
        RuntimeError,
        ValueError,
        TypeError,
        ImportError,
        OSError,
    )
    if triton := sys.modules.get("triton.errors"):
        found += (triton.TritonError,)
    return found
