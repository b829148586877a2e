"""Time every operator on every backend that runs here, beside how it is commonly written in torch.

    python kernels/benchmarks/run.py [OPERATOR ...] [--threads N] [--repeats N] [--out FILE.json]

Contestants take turns within each repeat, so that a busy machine slows all of them alike: trust
the ratios before the times. On a very busy one, `--threads 1 --cpu-time` counts the time on the
processor only. Results that differ by more than float32 rounding stop the run.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import peers
import torch
from shapes import SHAPES, Shape
from torch import Tensor

import genolm_kernels

Contestant = Callable[..., Tensor | tuple[Tensor, ...]]
PEER = "plain torch"
AGREEMENT = 2e-5  # of outputs, relative to the largest


@dataclass(frozen=True)
class Row:
    """The times of one contestant at one shape: medians of the repeats, and the best."""

    operator: str
    shape: str
    backend: str
    forward_ms: float
    backward_ms: float
    forward_best_ms: float
    backward_best_ms: float
    ns_per_element: float


def make_inputs(operator: str, shape: Shape) -> list[Tensor]:
    """Random inputs that need gradients, in the order of the operator's arguments."""
    torch.manual_seed(0)
    batch, length, channels, inner = shape.batch, shape.length, shape.channels, shape.inner
    x = torch.randn(batch, length, channels)
    if operator == "selective_scan":
        rates = -torch.arange(1.0, inner + 1).repeat(channels, 1)
        matrices = torch.randn(2, batch, length, inner)
        step_bias = torch.empty(channels).uniform_(-7, -2)  # steps of 0.001 to 0.1, as in Mamba
        inputs = [x, torch.randn_like(x), rates, *matrices, torch.ones(channels)]
        inputs += [torch.randn_like(x), step_bias]
    elif operator == "ssd":
        inputs = make_ssd_inputs(shape)
    elif operator == "causal_conv1d":
        inputs = [x, torch.randn(channels, inner), torch.randn(channels)]
    elif operator == "gated_short_conv":
        x = torch.randn(batch, length, 3 * channels)
        inputs = [x, torch.randn(3 * channels, inner), torch.randn(3 * channels)]
    elif operator == "add_norm":
        inputs = [x, torch.randn_like(x), torch.randn(channels)]
    else:
        inputs = [x, torch.randn(length, channels), torch.randn(channels)]
    return [value.detach().requires_grad_() for value in inputs]


def make_ssd_inputs(shape: Shape) -> list[Tensor]:
    """The same for state-space duality, with heads of 64 channels and matrices for all of them."""
    heads = shape.channels // 64
    x = torch.randn(shape.batch, shape.length, heads, 64)
    matrices = torch.randn(2, shape.batch, shape.length, 1, shape.inner)
    step_bias = torch.empty(heads).uniform_(-7, -2)  # steps of 0.001 to 0.1, as in Mamba
    rates = -torch.empty(heads).uniform_(1, 16)
    inputs = [x, torch.randn(x.shape[:3]), rates, *matrices, torch.ones(heads)]
    return [*inputs, torch.randn_like(x), step_bias]


def contestants(operator: str, shape: Shape, wanted: list[str] | None) -> dict[str, Contestant]:
    """The peer and the backends that run here, by name."""
    options = {
        "selective_scan": {"delta_softplus": True},
        "causal_conv1d": {"activation": "silu"},
        "gated_short_conv": {"parts": 3},
        "add_norm": {},
        "fft_conv": {},
        "ssd": {"dt_softplus": True},
    }[operator]
    function = getattr(genolm_kernels, operator)
    found: dict[str, Contestant] = {PEER: getattr(peers, operator)}
    for name, state in genolm_kernels.backends()[operator].items():
        if state != "runs here":
            print(f"{operator} {name}: {state}")
        elif name != "reference" or shape.reference:
            found[name] = partial(function, **options, backend=name)
    return {name: run for name, run in found.items() if wanted is None or name in wanted}


def outputs_of(run: Contestant, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """All outputs, also where there is but one."""
    outputs = run(*inputs)
    return (outputs,) if isinstance(outputs, Tensor) else outputs


def measure(
    run: Contestant, inputs: list[Tensor], cotangents: list[Tensor], clock: Callable[[], float]
) -> tuple[float, float]:
    """Seconds of one forward pass and of one backward pass."""
    start = clock()
    outputs = outputs_of(run, inputs)
    middle = clock()
    torch.autograd.grad(outputs, inputs, cotangents)
    return middle - start, clock() - middle


def check(runs: dict[str, Contestant], inputs: list[Tensor]) -> list[Tensor]:
    """Stop if the contestants do not compute the same; returns gradients of what they compute."""
    with torch.no_grad():
        results = {name: outputs_of(run, inputs) for name, run in runs.items()}
    wanted = next(iter(results.values()))
    for name, outputs in results.items():
        for output, first in zip(outputs, wanted, strict=True):
            error = ((output - first).abs().max() / first.abs().max()).item()
            if not error <= AGREEMENT:
                raise SystemExit(f"{name} is off by {error:.1e}: no times of wrong results")
    return [torch.randn(output.shape) for output in wanted]


def time_shape(
    operator: str,
    shape: Shape,
    repeats: int,
    wanted: list[str] | None,
    clock: Callable[[], float],
) -> list[Row]:
    """One row of results for each contestant."""
    runs = contestants(operator, shape, wanted)
    inputs = make_inputs(operator, shape)
    cotangents = check(runs, inputs)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            seconds = measure(run, inputs, cotangents, clock)
            if repeat:  # the first round warms caches and allocators
                times[name].append(seconds)
    rows: list[Row] = []
    for name, pairs in times.items():
        forward, backward = (
            [1e3 * seconds for seconds in side] for side in zip(*pairs, strict=True)
        )
        both = statistics.median(map(sum, pairs))
        row = Row(
            operator=operator,
            shape=str(shape),
            backend=name,
            forward_ms=statistics.median(forward),
            backward_ms=statistics.median(backward),
            forward_best_ms=min(forward),
            backward_best_ms=min(backward),
            ns_per_element=1e9 * both / shape.elements,
        )
        rows.append(row)
    return rows


def show(rows: list[Row]) -> None:
    """Print the rows of one shape, and how many times faster than the first each one is."""
    for row in rows:
        print(
            f"{row.operator:16} {row.shape:16} {row.backend:12}"
            f" {row.forward_ms:10.2f} {row.backward_ms:10.2f}"
            f" {row.forward_best_ms:10.2f} {row.backward_best_ms:10.2f}"
            f" {row.ns_per_element:9.2f} {rows[0].ns_per_element / row.ns_per_element:8.1f}",
            flush=True,
        )


def main() -> None:
    """Read the command line, time, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("operators", nargs="*", help=f"of {', '.join(SHAPES)}; all of them")
    parser.add_argument("--backend", action="append", help="time this one only; may be repeated")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--cpu-time", action="store_true", help="processor time, for one thread")
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    unknown = set(options.operators) - set(SHAPES)
    if unknown:
        parser.error(f"no operator {', '.join(sorted(unknown))}; there are {', '.join(SHAPES)}")

    if options.cpu_time and options.threads != 1:
        parser.error("--cpu-time needs --threads 1: waiting threads use the processor, too")
    clock = time.thread_time if options.cpu_time else time.perf_counter

    torch.set_num_threads(options.threads)
    columns = ("forward", "backward", "best fwd", "best bwd")
    print(
        f"{'operator':16} {'shape':16} {'backend':12} "
        + " ".join(f"{column:>10}" for column in columns)
        + f" {'ns/elem':>9} {'speed-up':>8}"
    )
    rows: list[Row] = []
    for operator in options.operators or SHAPES:
        for shape in SHAPES[operator]:
            found = time_shape(operator, shape, options.repeats, options.backend, clock)
            show(found)
            rows += found
    if options.out:
        about = {
            "torch": torch.__version__,
            "python": platform.python_version(),
            "processor": torch.backends.cpu.get_cpu_capability(),
            "threads": options.threads,
            "repeats": options.repeats,
            "clock": clock.__name__,
        }
        results = {"about": about, "results": [asdict(row) for row in rows]}
        options.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
