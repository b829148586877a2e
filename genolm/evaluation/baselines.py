"""What is judged beside the models: the majority, the length alone, k-mers, and a CNN."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from genolm.evaluation.benchmark_cnn import train_cnn
from genolm.evaluation.settings import CnnSettings
from genolm.metrics.baselines import (
    LOG_ODDS_LIMIT,
    kmer_scores,
    length_scores,
    majority_rate,
)
from genolm.training.judge import Figures, judge
from genolm.training.labelled_parts import LabelledParts
from genolm.training.recipe_finetune import Task

KMER_ROWS: Final = 10_000
"""More train rows than that are drawn from by seed, so that the regression differs by run."""

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Contest:
    """One run of a task, as a baseline sees it.

    Attributes:
        parts: The labelled set, split.
        task: What the labels are.
        seed: Of everything random.
        metric: Figure that chooses an epoch.
        cnn: How the CNN is trained.
        device: To train it on.
    """

    parts: LabelledParts
    task: Task
    seed: int
    metric: str
    cnn: CnnSettings
    device: torch.device


@dataclass(frozen=True)
class Outcome:
    """What a baseline reached.

    Attributes:
        test: Figures on the whole test part.
        scores: Logits, log-odds or values of the test rows (rows, outputs) or (rows,); None where
            a constant answer has none.
        valid: Figures on the validation part; None where nothing was chosen there.
        parameters: Numbers that were learned; None where that means little.
        seconds: It took.
        epochs: Passes over train; None where there are none.
    """

    test: Figures
    scores: Scores | None
    valid: Figures | None
    parameters: int | None
    seconds: float
    epochs: int | None = None

    def values(self) -> dict[str, Any]:
        """Return all but the scores, for a result."""
        return {
            "test": self.test,
            "valid": self.valid,
            "parameters": self.parameters,
            "seconds": round(self.seconds, 3),
            "epochs": self.epochs,
        }


def run_baseline(name: str, contest: Contest) -> Outcome:
    """Return what a baseline reaches.

    Args:
        name: ``majority``, ``length``, ``kmer`` or ``cnn``.
        contest: The run.
    """
    return RUNNERS[name](contest)


def varies(name: str, rows: int) -> bool:
    """Tell whether a baseline may differ by seed on the same rows.

    Args:
        name: Of the baseline.
        rows: Of the train part.
    """
    return name == "cnn" or (name == "kmer" and rows > KMER_ROWS)


def _majority(contest: Contest) -> Outcome:
    """Answer the class of most test rows, among those of train."""
    known, asked = contest.parts.learned.targets, contest.parts.test.targets
    figures: Figures = {"n": len(asked)}
    if contest.task != "regression":
        figures |= {"accuracy": majority_rate(known, asked), "mcc": 0.0, "auroc": 0.5}
    return Outcome(figures, None, None, None, 0.0)


def _length(contest: Contest) -> Outcome:
    return _learned(contest, lambda *sets: length_scores(*sets, task=contest.task))


def _kmer(contest: Contest) -> Outcome:
    seed = contest.seed
    return _learned(contest, lambda *sets: kmer_scores(*sets, task=contest.task, seed=seed))


def _learned(contest: Contest, fit: Callable[..., Scores]) -> Outcome:
    began = time.monotonic()
    known, asked = contest.parts.learned, contest.parts.test
    scores = fit(known.rows.sequences, known.targets, asked.rows.sequences, asked.targets)
    figures = judge(as_columns(scores), asked.targets, contest.task)
    return Outcome(figures, scores, None, None, time.monotonic() - began)


def as_columns(scores: Scores) -> Scores:
    """Return scores (rows, outputs), small enough for a loss in float64."""
    columns = scores[:, None] if scores.ndim == 1 else scores
    return np.maximum(columns, -LOG_ODDS_LIMIT) if scores.ndim > 1 else columns


def _cnn(contest: Contest) -> Outcome:
    run = train_cnn(
        contest.parts,
        contest.task,
        contest.cnn,
        seed=contest.seed,
        metric=contest.metric,
        device=contest.device,
    )
    figures = judge(run.logits, contest.parts.test.targets, contest.task)
    return Outcome(figures, run.logits, run.valid, run.parameters, run.seconds, run.epochs)


RUNNERS: Final[dict[str, Callable[[Contest], Outcome]]] = {
    "majority": _majority,
    "length": _length,
    "kmer": _kmer,
    "cnn": _cnn,
}
