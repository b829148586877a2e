"""A language model on the held-out windows of its genomes, beside what counting reaches there.

Figures of one genome are those of its own windows, beside count models of its own train part.
Figures over all take the judged windows of all genomes together, beside count models of all train
parts together.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from genolm.data.windows import WindowSet
from genolm.errors import InputError
from genolm.training.checkpoints import read_json, write_json
from genolm.training.genomes import Genome, Genomes
from genolm.training.held_out import (
    Figures,
    HeldOut,
    count_together,
    language_figures,
    read_part,
)
from genolm.training.recipe_pretrain import PretrainRecipe

Parts = dict[str, HeldOut]
"""Held-out windows by genome."""

COUNTED = "baselines.json"

_SEARCHED = 1 << 16
"""Bases that are read at a time to find a target."""


def read_parts(genomes: Genomes, recipe: PretrainRecipe, split: str, windows: int | None) -> Parts:
    """Read at most so many windows of a split of each genome, evenly spread; None for all."""
    return {
        genome.name: _read(genome, _choose(genome, split, windows), recipe) for genome in genomes
    }


def looked_at(genomes: Genomes, recipe: PretrainRecipe) -> int:
    """Return how many validation windows of each genome a look takes in."""
    return -(-recipe.train.eval_windows // len(genomes))


def require_targets(genomes: Genomes, recipe: PretrainRecipe) -> None:
    """Refuse held-out windows in which nothing is to be guessed, before a run begins.

    Raises:
        InputError: Naming the part, and what to change.
    """
    at_the_end = recipe.train.test_windows
    judged = (
        ("valid", looked_at(genomes, recipe), "train.eval_windows"),
        ("valid", at_the_end, "train.test_windows"),
        ("test", at_the_end, "train.test_windows"),
    )
    for genome in genomes:
        for split, windows, key in judged:
            chosen = _choose(genome, split, windows)
            if not _has_target(genome, chosen, recipe):
                whose = f" of {genome.name}" if len(genomes) > 1 else ""
                raise InputError(
                    f"data.{split}: no base to guess in the {len(chosen):,} {split} windows{whose}"
                    f" ({key}): choose more or longer windows, or a smaller data.max_n_fraction"
                )


def _has_target(genome: Genome, windows: WindowSet, recipe: PretrainRecipe) -> bool:
    few = max(1, _SEARCHED // windows.length)
    pieces = np.array_split(np.arange(len(windows)), -(-len(windows) // few))
    return any(_read(genome, windows.take(one), recipe).targets.any() for one in pieces)


def _choose(genome: Genome, split: str, windows: int | None) -> WindowSet:
    held_out = genome.splits[split]
    return held_out.spread(windows or len(held_out))


def _read(genome: Genome, windows: WindowSet, recipe: PretrainRecipe) -> HeldOut:
    return read_part(genome.store, windows, recipe.objective, n_bases=recipe.data.n_bases)


@dataclass(frozen=True)
class GenomeJudge:
    """Judges a model, and counts.

    Attributes:
        model: The model.
        genomes: Those of the run.
        folder: The run's; what was counted is kept there, for it does not change.
        batch_size: Windows at a time.
        device: Where the model is.
    """

    model: nn.Module
    genomes: Genomes
    folder: Path
    batch_size: int
    device: torch.device

    def figures_of(self, parts: Parts) -> dict[str, Figures]:
        """Return the figures of each genome."""
        return {
            name: language_figures(self.model, part, batch_size=self.batch_size, device=self.device)
            for name, part in parts.items()
        }

    def look(self, parts: Parts) -> Figures:
        """Return the figures over all, and the bits per base of each of several genomes."""
        rows = self.figures_of(parts)
        if len(rows) == 1:
            return pool(rows)
        return pool(rows) | {
            f"bits_per_base_{name}": row["bits_per_base"] for name, row in rows.items()
        }

    def judge(self, split: str, parts: Parts) -> dict[str, Any]:
        """Return the figures over all with their count models, and those of several genomes."""
        rows = self.figures_of(parts)
        found: dict[str, Any] = pool(rows) | {"markov": self.count(split, parts)}
        if len(rows) > 1:
            found["genomes"] = {
                name: row | {"markov": self.count(f"{split} of {name}", {name: parts[name]})}
                for name, row in rows.items()
            }
        return found

    def count(self, label: str, parts: Parts) -> dict[str, float]:
        """Return the bits per base of count models, counted once in the life of the run.

        Args:
            label: What to keep them under.
            parts: Held-out windows; the train parts of the same genomes are counted.
        """
        file = self.folder / COUNTED
        known = read_json(file) if file.is_file() else {}
        if label not in known:
            learned = [
                (genome.store, genome.splits["train"])
                for genome in self.genomes
                if genome.name in parts
            ]
            known[label] = count_together(learned, list(parts.values()))
            write_json(file, known)
        rows: dict[str, float] = known[label]
        return rows


def pool(rows: Mapping[str, Figures]) -> Figures:
    """Return the figures over all targets of all genomes."""
    if len(rows) == 1:
        return next(iter(rows.values()))
    counts = [int(row["n_targets"] or 0) for row in rows.values()]
    nats = sum(
        float(row["loss"] or 0) * count for row, count in zip(rows.values(), counts, strict=True)
    )
    loss = nats / sum(counts)
    return {"loss": loss, "bits_per_base": loss / math.log(2), "n_targets": sum(counts)}
