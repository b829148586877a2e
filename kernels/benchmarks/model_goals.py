"""What whole models are to reach: against the scans of others, and at length."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import peers
import torch
from goals import Result
from measuring import MIB, peak_memory, take_turns
from torch import Tensor

GIB = 1 << 30


def build(family: str, **options: Any) -> torch.nn.Module:
    """A model with fresh weights."""
    from genolm.models.build import build_model

    torch.manual_seed(0)
    task = "causal_lm" if family == "hyenadna" else "masked_lm"
    return build_model(family, task, options, seed=0)


@contextmanager
def in_the_style_of(scan: Callable[..., Tensor]) -> Iterator[None]:
    """Let models do as rivals do: two scans, flipped copies, torch's convolution."""
    import genolm.mixers.mamba as mamba
    import genolm.modules.short_conv as short_conv

    def both_ways(first: Any, second: Any, z: Tensor, **_: object) -> Tensor:
        there = scan(*first[:6], z, first[6])
        flipped = [value.flip(1) if value.dim() == 3 else value for value in second[:6]]
        return there + scan(*flipped, z.flip(1), second[6]).flip(1)

    def conv(x: Tensor, weight: Tensor, bias: Tensor, *, reverse: bool, **_: object) -> Tensor:
        y = peers.causal_conv1d(x.flip(1) if reverse else x, weight, bias)
        return y.flip(1) if reverse else y

    kept = mamba.bidirectional_scan, short_conv.causal_conv1d
    mamba.bidirectional_scan, short_conv.causal_conv1d = both_ways, conv
    try:
        yield
    finally:
        mamba.bidirectional_scan, short_conv.causal_conv1d = kept


def train() -> list[Result]:
    """A training step of Caduceus, 4 layers of 128 channels, on 1 x 1024."""
    model = build("caduceus", d_model=128, n_layer=4, rcps=False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    ids = torch.randint(7, 11, (1, 1024))
    losses = []

    def step() -> None:
        optimizer.zero_grad()
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        losses.append(loss.item())

    def styled(scan: Callable[..., Tensor]) -> Callable[[], None]:
        def run() -> None:
            with in_the_style_of(scan):
                step()

        return run

    fast = take_turns({"ours": step, "mambapy": styled(peers.mambapy_scan)}, 7)
    slow = take_turns({"ours": step, "slow path": styled(peers.slow_path_scan)}, 1)
    if max(losses) - min(losses) > 1e-4:
        raise SystemExit(f"losses differ by {max(losses) - min(losses)}: no times of wrong results")
    name = "Caduceus 4 x 128, train step, 1 x 1024"
    return [
        Result(name, "against mambapy style", fast["mambapy"] / fast["ours"], "x", 8),
        Result(name, "against slow-path style", slow["slow path"] / slow["ours"], "x", 100),
    ]


@contextmanager
def timed_scans(seconds: list[float]) -> Iterator[None]:
    """Add the time that each scan takes to the list."""
    import genolm.mixers.mamba as mamba

    scan = mamba.bidirectional_scan

    def timed(*args: Any, **options: Any) -> Tensor:
        start = time.perf_counter()
        y: Tensor = scan(*args, **options)
        seconds.append(time.perf_counter() - start)
        return y

    mamba.bidirectional_scan = timed
    try:
        yield
    finally:
        mamba.bidirectional_scan = scan


def long_caduceus() -> list[Result]:
    """Caduceus-PS, 4 layers of 256 channels, one sequence of 131,072."""
    model = build("caduceus", d_model=256, n_layer=4, rcps=True).eval()
    ids = torch.randint(7, 11, (1, 131_072))
    compiled = sys.modules["genolm_kernels.selective_scan.compiled"]
    there = compiled.takes
    scans: list[float] = []

    def run() -> None:
        model(input_ids=ids)

    def run_chunked() -> None:
        compiled.takes = lambda call: False
        run()
        compiled.takes = there

    with torch.no_grad():
        _, peak = peak_memory(run)
        times = take_turns({"ours": run, "chunked": run_chunked}, 2)
        with timed_scans(scans):
            start = time.perf_counter()
            run()
            whole = time.perf_counter() - start
    name = "Caduceus-PS 4 x 256, 131,072 tokens"
    return [
        Result(name, "peak memory of the process", peak / GIB, "GiB", at_most=6),
        Result(name, "against chunked torch scan", times["chunked"] / times["ours"], "x", 3),
        Result(name, "the scan's share", 100 * sum(scans) / whole, "%", at_most=20),
        Result(name, "seconds", times["ours"], "s"),
    ]


def million() -> list[Result]:
    """HyenaDNA, 8 layers of 256 channels, one sequence of a million."""
    model = build("hyenadna", d_model=256, n_layer=8, max_seq_len=1_000_002).eval()
    ids = torch.randint(7, 11, (1, 1_000_000))
    start = time.perf_counter()
    with torch.no_grad():
        added, peak = peak_memory(lambda: model(input_ids=ids))
    name = "HyenaDNA 8 x 256, 1,000,000 tokens"
    return [
        Result(name, "peak memory of the process", peak / GIB, "GiB", at_most=8),
        Result(name, "peak extra memory", added / MIB, "MiB"),
        Result(name, "seconds", time.perf_counter() - start, "s"),
    ]
