"""Time an epoch of `genolm finetune` on labelled sequences, from its first step to its last.

    OMP_NUM_THREADS=2 python benchmarks/finetune_speed.py TRAIN TEST [--minutes M] [--profile N] \
        [KEY=VALUE ...]

The model is a Caduceus-PS of 2 layers of 64 channels with fresh weights, unless keys of the recipe
say otherwise. `--minutes` stops within the epoch and tells what all of it would have taken; the
seconds of the steps and those of the validation are told apart. `--profile N` prints the N
functions in which the steps spend most time instead.
"""

import argparse
import contextlib
import cProfile
import io
import json
import pstats
import sys
import tempfile
import time
from pathlib import Path

import torch

import genolm
from genolm.cli.allocator import keep_freed_memory
from genolm.training.finetune import finetune
from genolm.training.recipe_files import load_finetune_recipe

RECIPE = """
model: {family: caduceus, d_model: 64, n_layer: 2, rcps: true}
data: {train: TRAIN, test: TEST}
train: {epochs: 1, log_every: 50}
output: OUTPUT
"""


def run(arguments: argparse.Namespace, folder: Path) -> tuple[list[dict[str, float]], float]:
    """Fine-tune; the lines of metrics.jsonl, and the seconds of the whole call."""
    file = folder / "recipe.yaml"
    file.write_text(RECIPE)
    minutes = [] if arguments.minutes is None else [f"train.max_minutes={arguments.minutes}"]
    keys = [f"data.train={arguments.train}", f"data.test={arguments.test}"]
    recipe = load_finetune_recipe(file, [*keys, f"output={folder / 'run'}", *minutes, *arguments.keys])
    started = time.monotonic()
    finetune(recipe, device="cpu")
    seconds = time.monotonic() - started
    lines = (folder / "run" / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines], seconds


def report(lines: list[dict[str, float]], seconds: float) -> None:
    """Print what an epoch takes."""
    steps = [line for line in lines if "loss" in line]
    trained = sum(
        (line["step"] - before) / line["tokens_per_second"]
        for line, before in zip(steps, [0, *(line["step"] for line in steps)], strict=False)
    )
    last = steps[-1]
    # Tokens of a step are not in the file: the share of the epoch says how long a whole one is.
    judged = max((line["seconds"] for line in lines if "valid_loss" in line), default=0.0)
    print(f"genolm {genolm.__version__}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    rate = last["step"] / trained
    tokens = [line["tokens_per_second"] for line in steps]
    print(f"{last['step']} steps, {last['epoch']} epochs; tokens/s: {tokens}")
    print(f"seconds at the last line of the steps {last['seconds']}, of the validation {judged}")
    print(f"an epoch: {last['seconds'] / last['epoch']:.1f} s of steps; the whole call {seconds:.1f} s")
    del rate


def main() -> None:
    """Read the arguments, run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("keys", nargs="*")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--profile", type=int)
    arguments = parser.parse_args()
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.profile:
            profile = cProfile.Profile()
            profile.runcall(run, arguments, Path(folder))
            pstats.Stats(profile).sort_stats("tottime").print_stats(arguments.profile)
        else:
            report(*run(arguments, Path(folder)))


if __name__ == "__main__":
    main()
