"""Probes: how much of a label stands in a model's embeddings, read by a small learner.

The model is not trained. Every sequence is embedded once, by all layers, as the mean over its own
bases (never over padding). On the rows held out of train the layer, the kind of learner and its
strength are chosen; the chosen one learns from the whole train part and is judged on the test part
once.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from genolm.errors import UsageError
from genolm.genome.sequence import reverse_complement
from genolm.metrics.baselines import fit_and_score, task_metrics
from genolm.models.backbone import GenolmModel
from genolm.scoring.layer_embeddings import LayerEmbedder
from genolm.training.judge import Figures, Scores, judge
from genolm.training.labelled_parts import LabelledPart, LabelledParts
from genolm.training.recipe_finetune import Task

Kind = Literal["linear", "knn", "mlp"]
KINDS: Final = get_args(Kind)

STRENGTHS: Final[dict[Kind, tuple[float, ...]]] = {
    "linear": (1e-3, 1e-2, 1e-1, 1.0, 10.0),
    "knn": (5, 15, 50),
    "mlp": (1e-3, 1e-1, 10.0),
}
"""What is tried of each kind: C of a logistic regression (1 / alpha of a ridge), the number of
neighbours, and alpha of a perceptron with 64 hidden units."""

CHOSEN_BY: Final[dict[Task, str]] = {
    "classification": "accuracy",
    "multilabel": "auroc",
    "regression": "r2",
}
MOST_ROWS: Final = 10_000
"""Train rows that choices are made with; the last fit has them all."""


@dataclass(frozen=True)
class Choice:
    """A way of reading a label from embeddings.

    Attributes:
        kind: Of learner.
        layer: Whose embeddings it reads, from 0; the last one is the final states.
        strength: See ``STRENGTHS``.
    """

    kind: Kind
    layer: int
    strength: float


@dataclass(frozen=True)
class Probe:
    """What a probe found.

    Attributes:
        choice: Made on the held-out rows.
        chosen_by: The metric that chose.
        by_layer: For each layer that was tried its best figure by that metric on the held-out
            rows; None where it is undefined.
        valid: Figures on the held-out rows, of a fit without them.
        test: Figures on the test part, of a fit with them.
        scores: On the test rows: logits (rows, classes), or values as the labels.
    """

    choice: Choice
    chosen_by: str
    by_layer: dict[int, float | None]
    valid: Figures
    test: Figures
    scores: Scores


@dataclass(frozen=True)
class _Part:
    """Embeddings (layers, rows, width) and labels (rows, ...)."""

    features: NDArray[np.float32]
    targets: NDArray[Any]

    def take(self, rows: NDArray[np.int64]) -> "_Part":
        return _Part(self.features[:, rows], self.targets[rows])

    def join(self, other: "_Part") -> "_Part":
        return _Part(
            np.concatenate([self.features, other.features], axis=1),
            np.concatenate([self.targets, other.targets]),
        )


def probe(
    model: GenolmModel,
    parts: LabelledParts,
    *,
    task: Task,
    kinds: Sequence[Kind] = ("linear",),
    layers: Sequence[int] | None = None,
    chosen_by: str | None = None,
    length: int | None = None,
    both_strands: bool = False,
    seed: int = 1,
) -> Probe:
    """Embed a labelled set and judge the best probe of it on the test part.

    Args:
        model: Any model, as it is.
        parts: The labelled set.
        task: What the labels are.
        kinds: Learners to choose from: ``linear``, ``knn``, ``mlp``.
        layers: Layers to choose from; negative ones count from the final states. None for all.
        chosen_by: Metric of the held-out rows; None for accuracy, AUROC or R2, as the task is.
        length: Bases after which sequences are cut; None for what the model reads.
        both_strands: Take the mean of the embeddings of both strands.
        seed: Of the perceptron, and of the rows that choices are made with.

    Raises:
        UsageError: There is no such kind, layer or metric.
        ValueError: The model's numbers are not finite, or train has a single class.
    """
    metric = chosen_by or CHOSEN_BY[task]
    embedder = LayerEmbedder(model)
    choices = list(_choices(kinds, layers, embedder.layers))
    train, valid, test = (
        _embed(embedder, part, length or embedder.length, both_strands)
        for part in (parts.train, parts.valid, parts.test)
    )
    few = np.random.default_rng(seed).permutation(len(train.targets))[:MOST_ROWS]
    tried = {
        choice: _figure(choice, train.take(np.sort(few)), valid, task, metric, seed)
        for choice in choices
        if choice.kind != "knn" or choice.strength <= len(few)
    }
    best = max(tried, key=lambda choice: _or_least(tried[choice]))
    before = _fit(best, train, valid, task, seed)
    has_given_part = len(parts.learned.targets) == len(parts.train.targets)
    scores = _fit(best, train if has_given_part else train.join(valid), test, task, seed)
    by_layer = {
        layer: max((tried[c] for c in tried if c.layer == layer), key=_or_least)
        for layer in sorted({choice.layer for choice in tried})
    }
    return Probe(
        best,
        metric,
        by_layer,
        _judge(before, valid, task),
        _judge(scores, test, task),
        scores,
    )


def _choices(kinds: Sequence[Kind], layers: Sequence[int] | None, count: int) -> Iterator[Choice]:
    for kind in kinds:
        if kind not in KINDS:
            raise UsageError(f"probe {kind!r}: choose from {', '.join(KINDS)}")
    for layer in range(count) if layers is None else layers:
        if not -count <= layer < count:
            raise UsageError(f"layer {layer}: this model has {count}, 0 to {count - 1}")
        for kind in kinds:
            yield from (Choice(kind, layer % count, value) for value in STRENGTHS[kind])


def _embed(
    embedder: LayerEmbedder, part: LabelledPart, length: int | None, both_strands: bool
) -> _Part:
    sequences = [sequence[:length] for sequence in part.rows.sequences]
    features = embedder.embed_layers(sequences)
    if both_strands:
        other = [reverse_complement(sequence)[:length] for sequence in part.rows.sequences]
        features = np.mean([features, embedder.embed_layers(other)], axis=0, dtype=np.float32)
    return _Part(features, part.targets)


def _figure(
    choice: Choice, train: _Part, valid: _Part, task: Task, metric: str, seed: int
) -> float | None:
    scores = _fit(choice, train, valid, task, seed)
    figures = task_metrics(valid.targets, scores, task=task)
    if metric not in figures:
        raise UsageError(f"chosen_by {metric!r}: choose from {', '.join(figures)}")
    return figures[metric]


def _or_least(figure: float | None) -> float:
    return -np.inf if figure is None else figure


def _fit(choice: Choice, known: _Part, asked: _Part, task: Task, seed: int) -> Scores:
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # A learner that has not converged is judged on held-out rows like any other.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return fit_and_score(
            LEARNERS[choice.kind](choice.strength, seed),
            known.features[choice.layer],
            known.targets,
            asked.features[choice.layer],
            asked.targets,
            task,
        )


def _judge(scores: Scores, part: _Part, task: Task) -> Figures:
    return judge(scores.reshape(len(scores), -1), part.targets, task)


def _linear(strength: float, seed: int) -> dict[str, Callable[[], Any]]:
    from sklearn.linear_model import LogisticRegression, Ridge

    return {
        "classifier": lambda: _standardised(LogisticRegression(C=strength, max_iter=1000)),
        "regressor": lambda: _standardised(Ridge(alpha=1 / strength)),
    }


def _neighbours(strength: float, seed: int) -> dict[str, Callable[[], Any]]:
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    k = int(strength)
    return {
        "classifier": lambda: _standardised(KNeighborsClassifier(n_neighbors=k)),
        "regressor": lambda: _standardised(KNeighborsRegressor(n_neighbors=k)),
    }


def _perceptron(strength: float, seed: int) -> dict[str, Callable[[], Any]]:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    options = {"hidden_layer_sizes": (64,), "alpha": strength, "random_state": seed}
    return {
        "classifier": lambda: _standardised(MLPClassifier(**options)),
        "regressor": lambda: _standardised(MLPRegressor(**options)),
    }


def _standardised(learner: Any) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), learner)


LEARNERS: Final = {"linear": _linear, "knn": _neighbours, "mlp": _perceptron}
