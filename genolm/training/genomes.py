"""The genomes of a pretraining recipe, opened and cut: what is trained on, sample by sample."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from genolm.data.genome_store import GenomeStore, open_store
from genolm.data.language import LanguageDataset
from genolm.data.masking import Masking
from genolm.data.mixture import MixedDataset, count_shares, to_shares
from genolm.data.overlap import Overlap, find_overlaps
from genolm.data.randomness import genome_seed
from genolm.data.splits import make_splits
from genolm.data.windows import WindowSet
from genolm.errors import InputError, UsageError
from genolm.training.recipe_data import GenomePart, GenomeSection
from genolm.training.recipe_pretrain import PretrainRecipe, PretrainTrainSection


@dataclass(frozen=True)
class Genome:
    """One genome of a run.

    Attributes:
        name: What figures and messages call it.
        store: Its bases.
        splits: Its windows of train, valid and test.
        weight: Its share of the samples beside those of the others; None for its train windows.
        overlaps: Parts that share bases, where the recipe lets them.
    """

    name: str
    store: GenomeStore
    splits: dict[str, WindowSet]
    weight: float | None = None
    overlaps: tuple[Overlap, ...] = ()


Genomes = tuple[Genome, ...]


@contextmanager
def open_genomes(data: GenomeSection) -> Iterator[Genomes]:
    """Open every genome of a recipe and cut it into the windows of train, valid and test.

    Raises:
        UsageError: A contig that is not there, or in two splits.
        InputError: A file that is no genome, a split without a window, or two that share bases;
            the message says which and where.
    """
    with ExitStack() as stack:
        stores = [stack.enter_context(open_store(part.fasta)) for part in data.listed]
        yield tuple(
            _cut(store, part, data) for store, part in zip(stores, data.listed, strict=True)
        )


def _cut(store: GenomeStore, part: GenomePart, data: GenomeSection) -> Genome:
    try:
        splits = make_splits(
            store,
            data.length,
            stride=data.stride,
            train=part.train,
            valid=part.valid,
            test=part.test,
            bed=part.bed,
            bed_windows=data.bed_windows,
            max_n_fraction=data.max_n_fraction,
            may_overlap=data.overlap == "warn",
        )
    except (InputError, UsageError) as error:
        if not data.genomes:
            raise
        raise type(error)(f"data.genomes, {part.label}: {error}") from None
    overlaps = find_overlaps(splits) if data.overlap == "warn" else ()
    return Genome(part.label, store, splits, part.weight, tuple(overlaps))


def digests(genomes: Genomes, data: GenomeSection) -> dict[str, str]:
    """Return what tells the bases of a run from others, by genome."""
    if not data.genomes:
        return {"fasta": genomes[0].store.digest}
    return {genome.name: genome.store.digest for genome in genomes}


def shares_of(genomes: Genomes) -> list[int]:
    """Return the share of the samples that each genome has, as whole numbers."""
    weights = [genome.weight or len(genome.splits["train"]) for genome in genomes]
    return to_shares(weights) if genomes[0].weight else [int(weight) for weight in weights]


def describe_genomes(genomes: Genomes) -> Iterator[str]:
    """Say how many windows each genome has, and its share where there are several."""
    shares = shares_of(genomes)
    for genome, share in zip(genomes, shares, strict=True):
        windows = ", ".join(f"{len(part):,} {split}" for split, part in genome.splits.items())
        if len(genomes) == 1:
            yield windows
        else:
            yield f"{genome.name} {windows}, {share / sum(shares):.1%} of the samples"


def samples_of(train: PretrainTrainSection) -> int:
    """Return how many windows a run shows."""
    return train.steps * train.batch_size * train.accumulate


def overlap_lines(genomes: Genomes) -> list[str]:
    """Say which parts share bases, a line each."""
    several = len(genomes) > 1
    return [
        f"{genome.name}: {overlap}" if several else str(overlap)
        for genome in genomes
        for overlap in genome.overlaps
    ]


def training_examples(recipe: PretrainRecipe, genomes: Genomes) -> LanguageDataset | MixedDataset:
    """Return the samples of a run, in order.

    Args:
        recipe: With nothing left open.
        genomes: Its genomes.
    """
    samples, stages = samples_of(recipe.train), list(_stages(recipe.train))
    if len(genomes) == 1:
        return _examples_of(recipe, genomes[0], 0, samples, stages)
    shares = shares_of(genomes)
    counts = count_shares(samples, shares)
    parts = {
        genome.name: _examples_of(recipe, genome, number, count, ())
        for number, (genome, count) in enumerate(zip(genomes, counts, strict=True))
    }
    return MixedDataset(parts, shares, samples, stages)


def _examples_of(
    recipe: PretrainRecipe,
    genome: Genome,
    number: int,
    samples: int,
    stages: Sequence[tuple[int, int]],
) -> LanguageDataset:
    data = recipe.data
    options: dict[str, Any] = recipe.masking.model_dump()
    return LanguageDataset(
        genome.store,
        genome.splits["train"],
        recipe.objective,
        seed=genome_seed(recipe.train.seed, number),
        rc_augment=bool(data.rc_augment),
        masking=Masking(**options) if recipe.objective == "masked_lm" else None,
        samples=samples,
        jitter=data.jitter or 0,
        soft_mask_weight=data.soft_mask_weight,
        stages=stages,
        n_bases=data.n_bases,
    )


def _stages(train: PretrainTrainSection) -> Iterator[tuple[int, int]]:
    """Yield the first sample after each stage, and the stage's length."""
    steps = 0
    for stage in train.length_stages:
        steps += stage.steps
        yield steps * train.batch_size * train.accumulate, stage.length
