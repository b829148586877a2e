"""How far a fixed budget of CPU minutes gets: bits per base of a recipe beside the count models.

    python benchmarks/pretrain_budget.py RECIPE FOLDER [KEY=VALUE ...] [--minutes 15] [--peer]

The cost of a step is measured first, and the recipe gets as many steps as fill the minutes on one
thread. With --peer, the recipe's causal Mamba is trained by mambapy's modules in a plain torch loop
instead, on the same windows, with the same optimiser and schedule, for as many CPU minutes. CPU
time counts what is computed and not what the machine did meanwhile; evaluations are not in it.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from mambapy.mamba import Mamba, MambaConfig  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.nn import functional

from genolm.data.language import LanguageDataset
from genolm.training.genomes import open_genomes
from genolm.training.held_out import count_baselines, language_figures, read_part
from genolm.training.optimizer import PRETRAINING, learning_rate, make_optimizer
from genolm.training.recipe_files import load_pretrain_recipe
from genolm.training.recipe_pretrain import PretrainRecipe

SHORT, LONG = 20, 80
"""Steps of the two runs whose difference is what steps cost."""

TEST_WINDOWS = 2048


@dataclass(frozen=True)
class Result:
    """What a contestant reached.

    Attributes:
        steps: Of the optimiser.
        minutes: CPU minutes that they cost, by the measured cost of one.
        figures: ``valid`` and ``test`` with ``bits_per_base`` and ``markov``.
        tokens: Seen in training.
    """

    steps: int
    minutes: float
    figures: dict[str, Any]
    tokens: int


class Peer(nn.Module):
    """mambapy's Mamba between an embedding and a head of the same weights."""

    def __init__(self, recipe: PretrainRecipe) -> None:
        super().__init__()
        options = recipe.model.options
        ssm: Any = options.get("ssm_cfg", {})
        d_model, n_layer = int(str(options["d_model"])), int(str(options["n_layer"]))
        self.embedding = nn.Embedding(16, d_model)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.layers = Mamba(MambaConfig(d_model=d_model, n_layers=n_layer, **ssm))
        self.norm = nn.RMSNorm(d_model, eps=1e-5)

    def forward(self, input_ids: Tensor) -> SimpleNamespace:
        """Return logits (batch, length, 16)."""
        hidden = self.norm(self.layers(self.embedding(input_ids)))
        return SimpleNamespace(logits=functional.linear(hidden, self.embedding.weight))


def cpu_seconds(command: list[str]) -> float:
    """Return the user CPU seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def train_ours(recipe: str, folder: Path, changes: list[str], minutes: float) -> Result:
    """Train with genolm's command."""

    def call(steps: int, output: Path, *more: str) -> list[str]:
        keys = (f"output={output}", f"train.steps={steps}", "train.threads=1", *more)
        return [sys.executable, "-m", "genolm", "pretrain", recipe, *changes, *keys]

    with tempfile.TemporaryDirectory() as scratch:
        little = ("train.eval_windows=1", "train.test_windows=1", f"train.save_every={LONG}")
        short, long = (
            cpu_seconds(call(steps, Path(scratch) / str(steps), *little)) for steps in (SHORT, LONG)
        )
    step = (long - short) / (LONG - SHORT)
    steps = int(60 * minutes / step)
    subprocess.run(call(steps, folder), check=True)
    metrics = json.loads((folder / "metrics.json").read_text())
    return Result(steps, steps * step / 60, metrics, metrics["tokens"])


def batches(recipe: PretrainRecipe, examples: LanguageDataset) -> Iterator[Tensor]:
    """Yield input ids (batch, length), in the order of the run."""
    size = recipe.train.batch_size
    for first in range(0, len(examples), size):
        rows = examples.__getitems__(list(range(first, first + size)))
        yield torch.stack([row["input_ids"] for row in rows])


def peer_loop(
    model: Peer, recipe: PretrainRecipe, examples: LanguageDataset, minutes: float
) -> tuple[int, float]:
    """Train until the schedule ends; its length is measured on a copy of the beginning.

    Returns:
        Steps and CPU minutes.
    """
    train = recipe.train
    assert train.betas is not None
    rate = learning_rate(train, train.learning_rate or 0.0, train.steps)
    optimizer = make_optimizer(
        model, "caduceus", rate=rate.peak, weight_decay=train.weight_decay, betas=train.betas
    )
    schedule = rate.drive(optimizer)
    began, told = time.process_time(), 0.0
    step = 0
    for step, ids in enumerate(batches(recipe, examples), 1):
        logits = model(ids).logits[:, :-1]
        loss = functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), train.grad_clip)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        spent = (time.process_time() - began) / 60
        if spent > told + 1:
            told = spent
            print(f"step {step}: loss {loss.item():.4f}, {spent:.1f} min", file=sys.stderr)
        if step == train.steps or spent >= 1.1 * minutes:
            break
    return step, (time.process_time() - began) / 60


def train_peer(name: str, changes: list[str], minutes: float) -> Result:
    """Train mambapy's modules on the recipe's windows."""
    torch.set_num_threads(1)
    recipe = load_pretrain_recipe(name, changes)
    data = {"stride": recipe.data.length, "jitter": recipe.data.length // 2, "rc_augment": True}
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update=data)})
    with open_genomes(recipe.data) as (genome,):
        store, splits = genome.store, genome.splits

        def run(steps: int, limit: float) -> tuple[Peer, int, float]:
            filled = PRETRAINING["caduceus"].complete(recipe.train, recipe.train.learning_rate)
            train = recipe.train.model_copy(update=filled | {"steps": steps})
            examples = LanguageDataset(
                store,
                splits["train"],
                "causal_lm",
                seed=train.seed,
                rc_augment=True,
                samples=steps * train.batch_size,
                jitter=recipe.data.jitter or 0,
            )
            torch.manual_seed(train.seed)
            model = Peer(recipe)
            whole = recipe.model_copy(update={"train": train})
            return model, *peer_loop(model, whole, examples, limit)

        cost = run(SHORT, 60)[2] / SHORT
        model, steps, spent = run(int(minutes / cost), minutes)
        figures: dict[str, Any] = {}
        for part in ("valid", "test"):
            held = read_part(store, splits[part].spread(TEST_WINDOWS), "causal_lm")
            figures[part] = language_figures(
                model, held, batch_size=8, device=torch.device("cpu")
            ) | {"markov": count_baselines(store, splits["train"], held)}
    return Result(steps, spent, figures, steps * recipe.train.batch_size * recipe.data.length)


def main() -> None:
    """Train one contestant and print its line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("recipe", help="a recipe file, or the name of a shipped one")
    parser.add_argument("folder", type=Path, help="the run folder; PEER.json goes there for --peer")
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--minutes", type=float, default=15.0, help="CPU minutes of training")
    parser.add_argument("--peer", action="store_true", help="train mambapy's modules instead")
    asked = parser.parse_args()
    if asked.peer:
        found = train_peer(asked.recipe, asked.changes, asked.minutes)
    else:
        found = train_ours(asked.recipe, asked.folder, asked.changes, asked.minutes)
    counted = found.figures["test"]["markov"]
    best = min(counted, key=counted.get)
    line = {
        "contestant": "mambapy" if asked.peer else "genolm",
        "recipe": asked.recipe,
        "steps": found.steps,
        "cpu_minutes": round(found.minutes, 2),
        "tokens_per_cpu_second": round(found.tokens / found.minutes / 60),
        "valid": round(found.figures["valid"]["bits_per_base"], 4),
        "test": round(found.figures["test"]["bits_per_base"], 4),
        "counting": best,
        "counting_valid": round(found.figures["valid"]["markov"][best], 4),
        "counting_test": round(counted[best], 4),
    }
    asked.folder.mkdir(parents=True, exist_ok=True)
    (asked.folder / "budget.json").write_text(json.dumps(line, indent=1) + "\n")
    print(json.dumps(line))


if __name__ == "__main__":
    main()
