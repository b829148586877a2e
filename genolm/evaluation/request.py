"""What an evaluation is asked for, and the runs that it is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Request:
    """What a command says.

    Attributes:
        suite: Name of the suite.
        data: Its folder.
        output: Folder of the results.
        models: ``NAME``, ``PATH`` or ``NAME=PATH`` each; none for those of the recipe.
        recipe: A YAML file or the name of a shipped one.
        overrides: ``KEY=VALUE`` each, for every training.
        protocol: Its name; None for the recipe's, or clean.
        seeds: Trainings of a model on a task; None for the recipe's or the protocol's number.
        folds: Parts of k-fold cross-validation; None for the recipe's, or seeds.
        tasks: Some of the suite's; none for all.
        baselines: Some of the baselines; None for the recipe's, or all.
        genomes: ``FASTA`` or ``CLASS=FASTA`` each.
        max_minutes: Limit of one training.
    """

    suite: str
    data: Path
    output: Path
    models: Sequence[str] = ()
    recipe: str | None = None
    overrides: Sequence[str] = ()
    protocol: str | None = None
    seeds: int | None = None
    folds: int | None = None
    tasks: Sequence[str] = ()
    baselines: Sequence[str] | None = None
    genomes: Sequence[str] = ()
    max_minutes: float | None = None


@dataclass(frozen=True)
class Run:
    """One training of every model on every task.

    Attributes:
        name: ``seed-1`` or ``fold-1``.
        seed: Of everything random in it.
        fold: Number of the fold, from 1, that is held out; None where folds are not used.
    """

    name: str
    seed: int
    fold: int | None = None
