"""What a pretraining recipe would train and be judged on, without training."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from genolm.data.mixture import count_shares
from genolm.training.genomes import (
    Genome,
    Genomes,
    open_genomes,
    overlap_lines,
    samples_of,
    shares_of,
)
from genolm.training.recipe_pretrain import PretrainRecipe

_SHORT_OF_TARGETS: Final = 100
"""Held-out windows below which figures are noise."""


@dataclass(frozen=True)
class SplitInfo:
    """What a split of a genome holds.

    Attributes:
        name: train, valid or test.
        windows: Windows of it.
        bases: Bases under them.
        contigs: Contigs they lie on.
        dropped: Regions or windows left out, by reason.
        genome: Which of several genomes; None for the only one.
    """

    name: str
    windows: int
    bases: int
    contigs: list[str]
    dropped: dict[str, int]
    genome: str | None = None


def check_splits(recipe: PretrainRecipe) -> tuple[list[SplitInfo], list[str]]:
    """Return what each split of each genome holds, and what should be known about it.

    Raises:
        UsageError: A contig that is not there, or in two splits.
        InputError: A split without a window, or two that share bases; the message says where.
    """
    with open_genomes(recipe.data) as genomes:
        rows = [row for genome in genomes for row in _describe(genome, several=len(genomes) > 1)]
        notes = [*overlap_lines(genomes), *_epochs(recipe, genomes)]
    notes += [
        f"only {row.windows} {row.name} windows{f' of {row.genome}' if row.genome else ''}: its"
        " figures will be noisy"
        for row in rows
        if row.name != "train" and row.windows < _SHORT_OF_TARGETS
    ]
    return rows, notes


def _describe(genome: Genome, *, several: bool) -> Iterator[SplitInfo]:
    for name, windows in genome.splits.items():
        yield SplitInfo(
            name,
            len(windows),
            sum(piece.length for piece in windows.covered()),
            list(windows.contigs),
            windows.dropped,
            genome.name if several else None,
        )


def _epochs(recipe: PretrainRecipe, genomes: Genomes) -> Iterator[str]:
    """Say how often each genome's train windows are shown."""
    shares = shares_of(genomes)
    counts = count_shares(samples_of(recipe.train), shares)
    for genome, shown, share in zip(genomes, counts, shares, strict=True):
        windows = len(genome.splits["train"])
        line = f"{shown / windows:.2f} epochs: {shown:,} windows of {windows:,}"
        yield (
            line
            if len(genomes) == 1
            else f"{genome.name}: {share / sum(shares):.1%} of the samples, {line}"
        )
