"""Time an epoch of `genolm finetune` on labelled sequences, from its first step to its last.

    OMP_NUM_THREADS=2 python benchmarks/finetune_speed.py TRAIN TEST [--minutes M] [--profile N] \
        [KEY=VALUE ...]

The model is a Caduceus-PS of 2 layers of 64 channels with fresh weights, unless keys of the recipe
say otherwise. `--minutes` stops within the epoch and tells what all of it would have taken.
`--profile N` prints the N functions in which the steps spend most time instead.
"""

import argparse
import cProfile
import json
import pstats
import statistics
import tempfile
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


def run(arguments: argparse.Namespace, folder: Path) -> list[dict[str, float]]:
    """Fine-tune one epoch; the lines of metrics.jsonl."""
    file = folder / "recipe.yaml"
    file.write_text(RECIPE)
    given = [f"data.train={arguments.train}", f"data.test={arguments.test}"]
    if arguments.minutes is not None:
        given.append(f"train.max_minutes={arguments.minutes}")
    recipe = load_finetune_recipe(file, [*given, f"output={folder / 'run'}", *arguments.keys])
    finetune(recipe, device="cpu", with_baselines=False)
    lines = (folder / "run" / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def report(lines: list[dict[str, float]]) -> None:
    """Print what an epoch takes: as it went, and at the rate of its quickest and middle lines."""
    steps = [line for line in lines if "loss" in line]
    judged = [line["seconds"] for line in lines if "valid_loss" in line]
    last, rates = steps[-1], [line["tokens_per_second"] for line in steps[1:]]
    print(f"genolm {genolm.__version__}, torch {torch.__version__}", end=", ")
    print(f"{torch.get_num_threads()} threads: {last['step']} steps, {last['epoch']} epochs")
    print(f"tokens/s in 50 steps: best {max(rates):,.0f}, median {statistics.median(rates):,.0f}")
    print(f"an epoch of steps, as it went: {last['seconds'] / last['epoch']:.1f} s")
    if judged:
        print(f"with its validation: {judged[-1]:.1f} s")


def main() -> None:
    """Read the arguments, run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("keys", nargs="*")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--profile", type=int)
    arguments = parser.parse_intermixed_args()
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.profile:
            profile = cProfile.Profile()
            profile.runcall(run, arguments, Path(folder))
            pstats.Stats(profile).sort_stats("tottime").print_stats(arguments.profile)
        else:
            report(run(arguments, Path(folder)))


if __name__ == "__main__":
    main()
