"""What a pretraining recipe would train and be judged on, without training."""

from dataclasses import dataclass
from typing import Final

from genolm.data.genome_store import GenomeStore, open_store
from genolm.data.splits import make_splits
from genolm.data.windows import WindowSet
from genolm.training.recipe_pretrain import GenomeSection, PretrainRecipe

_SHORT_OF_TARGETS: Final = 100
"""Held-out windows below which figures are noise."""


@dataclass(frozen=True)
class SplitInfo:
    """What a split holds.

    Attributes:
        name: train, valid or test.
        windows: Windows of it.
        bases: Bases under them.
        contigs: Contigs they lie on.
        dropped: Regions or windows left out, by reason.
    """

    name: str
    windows: int
    bases: int
    contigs: list[str]
    dropped: dict[str, int]


def cut_genome(store: GenomeStore, data: GenomeSection) -> dict[str, WindowSet]:
    """Cut the genome of a recipe into the windows of train, valid and test.

    Raises:
        UsageError: A contig that is not there, or in two splits.
        InputError: A split without a window, or two that share bases; the message says where.
    """
    return make_splits(
        store,
        data.length,
        stride=data.stride,
        train=data.train,
        valid=data.valid,
        test=data.test,
        bed=data.bed,
        max_n_fraction=data.max_n_fraction,
    )


def check_splits(recipe: PretrainRecipe) -> tuple[list[SplitInfo], list[str]]:
    """Return what each split holds, and what should be known about it.

    Raises:
        UsageError: A contig that is not there, or in two splits.
        InputError: A split without a window, or two that share bases; the message says where.
    """
    with open_store(recipe.data.fasta) as store:
        splits = cut_genome(store, recipe.data)
    rows = [
        SplitInfo(
            name,
            len(windows),
            sum(piece.length for piece in windows.covered()),
            list(windows.contigs),
            windows.dropped,
        )
        for name, windows in splits.items()
    ]
    train = recipe.train
    shown = train.steps * train.batch_size * train.accumulate
    notes = [f"{shown / rows[0].windows:.2f} epochs: {shown:,} windows of {rows[0].windows:,}"]
    notes += [
        f"only {row.windows} {row.name} windows: its figures will be noisy"
        for row in rows[1:]
        if row.windows < _SHORT_OF_TARGETS
    ]
    return rows, notes
