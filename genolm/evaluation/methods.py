"""Ways of judging a trained model without fine-tuning it, as rows of an evaluation.

    models:
      probe: {model: {path: runs/yeast/model}, method: probe}
      shown: {model: {path: runs/yeast/model}, method: {name: k_shot, shots: 16}}

Keys of the recipe's ``train`` section that such a row has no use for are not looked at.
"""

import time
from collections.abc import Mapping
from typing import Any, Literal

import torch
from pydantic import Field, model_validator

from genolm.errors import UsageError
from genolm.evaluation.in_context import k_shot, tune_on_prompts
from genolm.evaluation.probes import Kind, probe
from genolm.evaluation.results import Scores
from genolm.evaluation.settings import Values
from genolm.evaluation.soft_prompts import tune_soft_prompt
from genolm.models import load
from genolm.models.backbone import GenolmModel
from genolm.training.judge import Figures
from genolm.training.labelled_parts import LabelledParts
from genolm.training.recipe_files import check_values
from genolm.training.recipe_finetune import FinetuneRecipe
from genolm.training.recipe_types import Count, Section, Whole

METHOD = "method"
"""The key of a row; the rest of it is a fine-tuning recipe."""

Found = tuple[Figures, Figures, Scores, Values]
"""Figures of the held-out rows and of the test part, the test scores, and what else is told."""


class MethodSection(Section):
    """How the model of a row is judged."""

    name: Literal["finetune", "probe", "k_shot", "soft_prompt"] = Field(
        default="finetune", description="what is trained: the model, a probe, nothing, or vectors"
    )
    kinds: tuple[Kind, ...] = Field(
        default=("linear",), description="probes to choose from: linear, knn, mlp"
    )
    layers: tuple[int, ...] | None = Field(
        default=None, description="layers that a probe may read; null = all"
    )
    shots: Whole = Field(default=8, description="demonstrations before a question (k_shot)")
    draws: Count = Field(default=1, description="sets of demonstrations (k_shot)")
    samples: Whole = Field(
        default=0, description="train rows that the model is first tuned on, as prompts (k_shot)"
    )
    vectors: Count = Field(default=32, description="trained before each sequence (soft_prompt)")

    @model_validator(mode="before")
    @classmethod
    def _read_name(cls, value: object) -> object:
        """Read a name alone as a section that says no more."""
        return {"name": value} if isinstance(value, str) else value


def split_method(values: Values, source: str) -> tuple[MethodSection, Values]:
    """Return how a row is judged, and the recipe without it.

    Args:
        values: Of a row.
        source: Where they are from, for messages.

    Raises:
        UsageError: A key or value is wrong.
    """
    recipe = {key: value for key, value in values.items() if key != METHOD}
    said = values.get(METHOD) or {}
    return check_values(MethodSection, said, f"{source}: {METHOD}"), recipe


def run_method(
    method: MethodSection, recipe: FinetuneRecipe, parts: object, device: torch.device
) -> tuple[Values, Scores]:
    """Judge the model of a recipe by a method other than fine-tuning.

    Args:
        method: Which.
        recipe: Whose model, length, strands and seed count.
        parts: The labelled set.
        device: Where the model runs.

    Returns:
        What is told of the run, and the scores of the test rows.

    Raises:
        UsageError: The method does not fit the model or the labels.
    """
    if not isinstance(parts, LabelledParts):
        raise UsageError(f"method {method.name}: only for labelled sequences, not for variants")
    if recipe.model.path is None:
        raise UsageError(f"method {method.name}: judges a trained model; give its model.path")
    started = time.perf_counter()
    model, _ = load(recipe.model.path, device=device)
    valid, test, scores, more = METHODS[method.name](method, recipe, parts, model)
    length = recipe.data.length
    values: Values = {
        "test": test,
        "valid": valid,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seconds": round(time.perf_counter() - started, 3),
        "cut": sum(len(one) > (length or len(one)) for one in parts.test.rows.sequences),
        "recipe": {"model": recipe.model.model_dump(mode="json"), METHOD: method.model_dump()},
    }
    return values | more, scores


def _probe(
    method: MethodSection, recipe: FinetuneRecipe, parts: LabelledParts, model: GenolmModel
) -> Found:
    metric = recipe.train.early_stopping_metric
    found = probe(
        model,
        parts,
        task=recipe.label_task,
        kinds=method.kinds,
        layers=method.layers,
        chosen_by=None if metric == "loss" else metric,
        length=recipe.data.length,
        both_strands=recipe.train.rc == "conjoin",
        seed=recipe.train.seed,
    )
    choice = found.choice
    told = {"kind": choice.kind, "layer": choice.layer, "strength": choice.strength}
    more = {"probe": {**told, "by": found.chosen_by, "by_layer": found.by_layer}}
    return found.valid, found.test, found.scores, more


def _k_shot(
    method: MethodSection, recipe: FinetuneRecipe, parts: LabelledParts, model: GenolmModel
) -> Found:
    length, seed, shots = recipe.data.length, recipe.train.seed, method.shots
    if method.samples:
        tune_on_prompts(model, parts, samples=method.samples, shots=shots, length=length, seed=seed)
    found = k_shot(model, parts, shots=shots, draws=method.draws, length=length, seed=seed)
    return found.valid, found.test, found.scores, {"letters": found.letters}


def _soft_prompt(
    method: MethodSection, recipe: FinetuneRecipe, parts: LabelledParts, model: GenolmModel
) -> Found:
    found = tune_soft_prompt(
        model,
        parts,
        vectors=method.vectors,
        both_strands=recipe.train.rc in ("augment", "conjoin"),
        length=recipe.data.length,
        seed=recipe.train.seed,
    ).answers
    return found.valid, found.test, found.scores, {"letters": found.letters}


METHODS: Mapping[str, Any] = {"probe": _probe, "k_shot": _k_shot, "soft_prompt": _soft_prompt}
