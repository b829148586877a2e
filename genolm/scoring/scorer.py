"""The engine: a model, a genome, and the score functions that share them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from genolm.data.edit_windows import GenomeWindows
from genolm.errors import UsageError
from genolm.genome.edits import Edit
from genolm.genome.fasta import Fasta
from genolm.models.auto import maximum_length, objective_of
from genolm.models.backbone import GenolmModel
from genolm.models.configuration import GenolmConfig
from genolm.scoring.batches import Batches, BatchSize
from genolm.scoring.causal import CausalRatios
from genolm.scoring.class_delta import make_deltas
from genolm.scoring.distance import Distances
from genolm.scoring.fast import make_fast
from genolm.scoring.fast_parts import ALLELES_AT_ONCE, FastMode, FastParts
from genolm.scoring.fast_store import FastStore
from genolm.scoring.fields import (
    DELTA,
    EFFECT,
    SCREEN,
    Result,
    ScoreField,
    Values,
    check_scores,
    fields_of,
)
from genolm.scoring.likelihood import ModelRunner
from genolm.scoring.masked import MaskedRatios
from genolm.scoring.percentiles import Percentiles
from genolm.scoring.prefix import causal_runner
from genolm.scoring.screen import SCREENED_AT_ONCE, ScreenRatios
from genolm.scoring.tokenizer_check import check_vocabulary
from genolm.scoring.variant_effect import make_effects
from genolm.scoring.wild_type import WildTypeRatios

DEFAULT_WINDOW: Final = 1024
SHORTEST_WINDOW: Final = 8
DEFAULT_SCORES: Final = {"classification": DELTA, "variant_effect": EFFECT}

Columns = Mapping[str, NDArray[np.float64]]
Compute = Callable[[Sequence[Edit]], Columns]
Recall = Callable[[Sequence[Edit], Compute], Columns]


class ScoreFunction(Protocol):
    """What the engine runs: edits in, one number per edit and kind of number out."""

    def score(self, edits: Sequence[Edit]) -> Mapping[str, NDArray[np.float64]]:
        """Return arrays (edits,) by the key of their ``ScoreField``; NaN where there is none."""


def choose_window(model: GenolmModel, window: int | None) -> int:
    """Return the number of bases in a window.

    Args:
        model: Its config may hold ``training_length``.
        window: The number asked for; None means the training length, or else the smaller of 1024
            and the model's maximum minus 2.

    Raises:
        UsageError: The model cannot read so many, or they are too few.
    """
    config = cast(GenolmConfig, model.config)
    longest = maximum_length(config)
    if window is None:
        return config.training_length or min(
            DEFAULT_WINDOW, longest - 2 if longest else DEFAULT_WINDOW
        )
    if window < SHORTEST_WINDOW:
        raise UsageError(f"a window of {window} bases is too short: at least {SHORTEST_WINDOW}")
    if longest is not None and window > longest:
        raise UsageError(f"a window of {window} bases is too long: the model reads {longest}")
    return window


class VariantScorer:
    """A model and a genome, ready to score edits.

    Args:
        model: A language model, or a classifier or regressor; it is put into evaluation mode.
        tokenizer: The model's tokenizer; its base and mask ids must be the official ones.
        fasta: An open FASTA.
        scores: Names from ``NAMES``; none means ``llr`` of a language model and ``delta`` of a
            classifier.
        window: Bases in all (see ``choose_window``).
        layer: Hidden states that distances are taken between; None is the final normed ones.
        batch_size: Windows a batch, or "auto".
        fast: Where the calibrations of fast modes are kept; None for the exact scores.

    Attributes:
        window: Bases in all.
        genome: The reference bases.
        fast: The fast mode that stands for the exact likelihood ratios, or None.
        fields: What ``score`` finds for every allele.
        at_once: Alleles that are computed together.
        percentiles: What adds to the numbers their percentiles, or None.
        recall: Asked for the numbers of distinct edits, given the function that computes them.

    Raises:
        UsageError: The model does not have such a score, or the window does not fit it.
        ValueError: The tokenizer's ids are not the official ones.
    """

    def __init__(
        self,
        model: GenolmModel,
        tokenizer: PreTrainedTokenizerBase,
        fasta: Fasta,
        *,
        scores: Sequence[str] = (),
        window: int | None = None,
        layer: int | None = None,
        batch_size: BatchSize = "auto",
        fast: FastStore | None = None,
    ) -> None:
        check_vocabulary(tokenizer)
        model.eval()  # type: ignore[no-untyped-call]  # transformers' own
        self.window = choose_window(model, window)
        self.genome = GenomeWindows(fasta)
        self._model = model
        self._layer = layer
        self._batch_size: BatchSize = batch_size
        self.at_once = Batches(next(model.parameters()).device, batch_size).at_once(self.window)
        self.recall: Recall = _compute
        self._store = fast
        self.fast: FastMode | None = None
        chosen = check_scores(scores) or [DEFAULT_SCORES.get(_task(model), "llr")]
        self._functions = self._make_functions(chosen)
        self.fields = fields_of(chosen, _classes(model))
        if fast is not None:
            if self.fast is None:
                raise UsageError("--fast is a way to the scores llr and llr_strands: ask for them")
            self.at_once = ALLELES_AT_ONCE
        self.percentiles: Percentiles | None = None

    @property
    def all_fields(self) -> tuple[ScoreField, ...]:
        """The ``fields``, and those of their percentiles where these are found too."""
        return (*self.fields, *(self.percentiles.fields if self.percentiles else ()))

    def _make_functions(self, scores: Sequence[str]) -> list[ScoreFunction]:
        """One function for all scores that come out of the same passes."""
        makers: dict[str, Callable[[], ScoreFunction]] = {
            "llr": self._likelihoods,
            "llr_strands": self._likelihoods,
            "wild_type": self._wild_type,
            SCREEN: self._screen,
            DELTA: self._deltas,
            EFFECT: self._effects,
        }
        chosen = dict.fromkeys(makers.get(name, self._distances) for name in scores)
        return [make() for make in chosen]

    def _language_task(self) -> str:
        task = _task(self._model)
        if task not in ("causal_lm", "masked_lm"):
            raise UsageError(
                "the model is a fine-tuned one; log-likelihood ratios need a language model (a"
                " classifier has --scores delta, a variant-effect model effect, every model dist)"
            )
        return task

    def _likelihoods(self) -> ScoreFunction:
        task = self._language_task()
        exact: ScoreFunction = (
            CausalRatios(
                causal_runner(self._model, batch_size=self._batch_size), self.genome, self.window
            )
            if task == "causal_lm"
            else MaskedRatios(
                ModelRunner(self._model, batch_size=self._batch_size),
                self.genome,
                self.window,
                equivariant=self._equivariant,
            )
        )
        if self._store is None:
            return exact
        self.fast = make_fast(
            task,
            FastParts(
                self._model,
                self.genome,
                self.window,
                self._batch_size,
                self._equivariant,
                exact,
                self._store,
            ),
        )
        return self.fast

    def _wild_type(self) -> ScoreFunction:
        task = self._language_task()
        return WildTypeRatios(
            ModelRunner(self._model, batch_size=self._batch_size),
            self.genome,
            self.window,
            causal=task == "causal_lm",
            equivariant=self._equivariant,
        )

    def _screen(self) -> ScoreFunction:
        self.at_once = max(self.at_once, SCREENED_AT_ONCE)
        return ScreenRatios(self._model, self.genome, self.window, batch_size=self._batch_size)

    def _distances(self) -> ScoreFunction:
        return Distances(
            self._model,
            self.genome,
            self.window,
            layer=self._layer,
            batch_size=self._batch_size,
        )

    def _deltas(self) -> ScoreFunction:
        return make_deltas(self._model, self.genome, self.window, self._batch_size)

    def _effects(self) -> ScoreFunction:
        return make_effects(self._model, self.genome, self.window, self._batch_size)

    @property
    def _equivariant(self) -> bool:
        return bool(getattr(self._model.config, "rcps", False))

    def score(
        self, alleles: Sequence[Edit | str], advance: Callable[[int], None] | None = None
    ) -> list[Result]:
        """Return the numbers of every edit; reasons are handed through.

        Args:
            alleles: Edits to score, and reasons in the place of those that cannot be.
            advance: Called with the number of alleles done, now and then.

        Raises:
            ValueError: The model's numbers are not finite.
        """
        results: list[Result] = []
        for start in range(0, len(alleles), self.at_once):
            some = alleles[start : start + self.at_once]
            found = iter(self._values([one for one in some if isinstance(one, Edit)]))
            results += [one if isinstance(one, str) else next(found) for one in some]
            if advance is not None:
                advance(len(some))
        return results

    def _values(self, edits: Sequence[Edit]) -> list[Values]:
        distinct = list(dict.fromkeys(edits))
        columns = self.recall(distinct, self._columns)
        wanted = {field.key for field in self.fields}
        rows: dict[Edit, Values] = {
            edit: {
                key: float(column[number])
                for key, column in columns.items()
                if key in wanted and np.isfinite(column[number])
            }
            for number, edit in enumerate(distinct)
        }
        if self.percentiles is not None:
            for edit, row in rows.items():
                rows[edit] = {**row, **self.percentiles.of(self.genome, edit, row)}
        return [rows[edit] for edit in edits]

    def _columns(self, edits: Sequence[Edit]) -> dict[str, NDArray[np.float64]]:
        columns: dict[str, NDArray[np.float64]] = {}
        for function in self._functions:
            columns |= function.score(edits)
        for key, column in columns.items():
            possible = np.ones(len(edits), dtype=bool)
            if key == "wild_type":
                possible = np.array([edit.is_substitution for edit in edits], dtype=bool)
            if not np.isfinite(column[possible]).all():
                raise ValueError(
                    "the model's numbers are not finite: its weights are damaged, or the numbers"
                    " are too large for this --dtype (try float32)"
                )
        return columns


def _compute(edits: Sequence[Edit], compute: Compute) -> Columns:
    return compute(edits)


def _classes(model: GenolmModel) -> list[str]:
    labels = cast(dict[int, str], model.config.id2label or {})
    return [str(labels.get(i, i)) for i in range(int(model.config.num_labels or 1))]


def _task(model: GenolmModel) -> str:
    try:
        return objective_of(model)
    except ValueError:  # a backbone alone has distances only
        return "none"
