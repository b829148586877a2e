"""Speed and memory of a pretraining step by length: 1,024 to 131,072 bases.

    python benchmarks/pretrain_speed.py MODEL ... [--lengths N ...] [--threads N] [--checkpointing]
    python benchmarks/pretrain_speed.py caduceus_ps --beside-mambapy --lengths 1024 8192

A step is forward, backward and AdamW on random bases, with the windows that fill 8,192 tokens, or
one longer one; reading the genome is not in it. Every row is a process of its own, so that its peak
memory is that of the row. `--checkpointing` adds a row that recomputes what the model can.

With --beside-mambapy the same model takes turns with itself in the style of mambapy (its scan, once
for each direction on flipped copies, and torch's convolution), so that a busy machine slows both
alike; the losses must agree. HyenaDNA has no scan, hence no such row.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from genolm.cli.allocator import keep_freed_memory
from genolm.console import format_bytes
from genolm.models.build import build_model
from genolm.models.configuration import GenolmConfig
from genolm.models.cost import count_cost
from genolm.training.machine import choose_precision, set_checkpointing, set_precision
from genolm.training.optimizer import PRETRAINING, make_optimizer
from genolm.training.peak import peak_flops
from genolm.training.watch import peak_memory

CPU = torch.device("cpu")
KERNEL_BENCHMARKS = Path(__file__).parents[1] / "kernels" / "benchmarks"
LENGTHS = (1_024, 8_192, 32_768, 131_072)
TOKENS = 8_192
"""Of a step, unless one window has more."""

SECONDS, STEPS = 3.0, 2
"""A row runs at least so long and so many steps, after one that is not counted."""

MODELS: dict[str, tuple[str, str, dict[str, Any], str]] = {
    # family, task, options, what can be recomputed: the sizes of the yeast recipes
    "hyenadna": ("hyenadna", "causal_lm", {"d_model": 128, "n_layer": 3}, "both"),
    "caduceus_ps": (
        "caduceus",
        "masked_lm",
        {"d_model": 64, "n_layer": 4, "rcps": True, "ssm_cfg": {"d_state": 4, "d_conv": 7}},
        "mixer",
    ),
}


class Step:
    """A pretraining step of a model.

    Args:
        name: In `MODELS`.
        length: Bases of a window.
        checkpointing: As in a recipe.
    """

    def __init__(self, name: str, length: int, checkpointing: str = "none") -> None:
        family, task, options, _ = MODELS[name]
        self.model = build_model(family, task, {**options, "training_length": length}, seed=0)
        self.precision = choose_precision("auto", CPU)
        set_precision(self.model, self.precision)
        set_checkpointing(self.model, checkpointing)
        self.optimizer = make_optimizer(
            self.model, family, rate=1e-4, weight_decay=0.1, betas=PRETRAINING[family].betas
        )
        generator = torch.Generator().manual_seed(0)
        windows = max(1, TOKENS // length)
        self.ids = torch.randint(7, 11, (windows, length), generator=generator)
        self.model.train()

    def __call__(self, *, moves: bool = True) -> float:
        """Do one; the loss before it. With `moves` false the weights stay."""
        self.optimizer.zero_grad()
        loss = self.model(input_ids=self.ids, labels=self.ids).loss
        loss.backward()
        if moves:
            self.optimizer.step()
        return float(loss.detach())

    def flops(self) -> float:
        """Operations of the model in one."""
        config = self.model.config
        assert isinstance(config, GenolmConfig)
        windows, length = self.ids.shape
        return self.ids.numel() * count_cost(config, length, batch_size=windows).training_flops


def run_row(name: str, length: int, checkpointing: str) -> dict[str, Any]:
    """Time the steps of one row in this process."""
    step = Step(name, length, checkpointing)
    step()
    started, steps = time.perf_counter(), 0
    while steps < STEPS or time.perf_counter() - started < SECONDS:
        step()
        steps += 1
    seconds = (time.perf_counter() - started) / steps
    peak = peak_flops(CPU, step.precision)
    assert peak is not None
    return {
        "windows": len(step.ids),
        "tokens_per_second": step.ids.numel() / seconds,
        "mfu": step.flops() / seconds / peak,
        "peak_memory_bytes": peak_memory(CPU),
        "precision": step.precision,
    }


def run_beside(name: str, length: int, checkpointing: str) -> dict[str, Any]:
    """Time the model and its twin in mambapy's style, in turns, in this process."""
    if find_spec("mambapy") is None:
        raise SystemExit("mambapy is not installed: pip install 'genolm[bench]'")
    sys.path.insert(0, str(KERNEL_BENCHMARKS))
    import measuring
    import model_goals
    import peers

    step = Step(name, length, checkpointing)
    losses: dict[str, float] = {}

    def ours() -> None:
        losses["ours"] = step(moves=False)

    def theirs() -> None:
        with model_goals.in_the_style_of(peers.mambapy_scan):
            losses["theirs"] = step(moves=False)

    turns: dict[str, Callable[[], object]] = {"ours": ours, "theirs": theirs}
    seconds = measuring.take_turns(turns, 2)
    if abs(losses["ours"] - losses["theirs"]) > 1e-2:
        raise SystemExit(f"the losses differ, {losses}: no times of wrong results")
    rates = {who: step.ids.numel() / seconds[who] for who in seconds}
    return {"windows": len(step.ids), **rates, "ratio": rates["ours"] / rates["theirs"]}


def start_row(arguments: argparse.Namespace, name: str, length: int, parts: str) -> dict[str, Any]:
    """Run one row in a process of its own."""
    command = [sys.executable, __file__, name, "--lengths", str(length), "--row", parts]
    command += ["--threads", str(arguments.threads)]
    command += ["--beside-mambapy"] if arguments.beside_mambapy else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["killed, for want of memory?"])[-1]
        return {"failed": reason}
    row: dict[str, Any] = json.loads(done.stdout)
    return row


def describe(name: str, length: int, parts: str, row: dict[str, Any]) -> str:
    """Return a row of the table."""
    if "failed" in row:
        return f"| {name} | {length:,} | - | {parts} | {row['failed']} |"
    begin = f"| {name} | {length:,} | {row['windows']} |"
    if "ratio" in row:
        return f"{begin} {row['ours']:,.0f} | {row['theirs']:,.0f} | {row['ratio']:.1f} x |"
    memory, rate = format_bytes(row["peak_memory_bytes"]), row["tokens_per_second"]
    return f"{begin} {parts} | {rate:,.0f} | {100 * row['mfu']:.2g} % | {memory} |"


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", choices=sorted(MODELS))
    parser.add_argument("--lengths", nargs="+", type=int, default=list(LENGTHS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--checkpointing", action="store_true", help="add rows that recompute")
    parser.add_argument("--beside-mambapy", action="store_true", help="ratios instead of rows")
    parser.add_argument("--row", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Print the rows that were asked for."""
    arguments = read_arguments()
    if arguments.row is not None:
        keep_freed_memory()
        torch.set_num_threads(arguments.threads)
        run = run_beside if arguments.beside_mambapy else run_row
        print(json.dumps(run(arguments.models[0], arguments.lengths[0], arguments.row)))
        return
    columns = [
        "model",
        "length",
        "windows a step",
        "recomputed",
        "tokens/s",
        "of peak",
        "peak memory",
    ]
    if arguments.beside_mambapy:
        columns = [*columns[:3], "tokens/s", "tokens/s, mambapy's style", "ratio"]
    print(f"| {' | '.join(columns)} |")
    print(f"|{' --- |' * len(columns)}")
    for name in arguments.models:
        for length in arguments.lengths:
            choices = ["none", MODELS[name][3]] if arguments.checkpointing else ["none"]
            for parts in choices:
                row = start_row(arguments, name, length, parts)
                print(describe(name, length, parts, row), flush=True)


if __name__ == "__main__":
    main()
