"""A fine-tuning that is ready to run: its recipe, labelled set and model, and what they can do."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizer

from genolm import console
from genolm.data.labels import LabelSpace
from genolm.errors import UsageError
from genolm.training.board import require_tensorboard
from genolm.training.buckets import row_lengths
from genolm.training.class_weights import weighted_loss
from genolm.training.effect_model import effect_model
from genolm.training.judge import Figures, judge, predict_logits, predict_positions
from genolm.training.lora import add_adapters
from genolm.training.machine import (
    choose_device,
    choose_precision,
    kernel_backend,
    set_checkpointing,
    set_threads,
)
from genolm.training.model_source import classifier
from genolm.training.optimizer import FINE_TUNING
from genolm.training.parts import Part, Parts
from genolm.training.prepare_parts import prepare_parts
from genolm.training.recipe_finetune import FinetuneRecipe
from genolm.training.recipe_tokens import TOKEN_CLASSIFICATION
from genolm.training.recipe_variants import VARIANT_EFFECT
from genolm.training.run_folder import RunFolder
from genolm.training.token_model import token_classifier


@dataclass(frozen=True)
class Finetuning:
    """Everything a run needs, once the recipe has been acted on.

    Attributes:
        recipe: With nothing left open.
        run: Its folder.
        parts: The labelled set.
        model: To be trained.
        tokenizer: Published beside it.
        device: To train on.
    """

    recipe: FinetuneRecipe
    run: RunFolder
    parts: Parts
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizer
    device: torch.device

    @property
    def space(self) -> LabelSpace:
        """What labels can be."""
        return self.parts.space

    @property
    def length(self) -> int:
        """Tokens of every input."""
        length = self.recipe.data.length or self.recipe.data.window
        assert length is not None
        return length

    @property
    def batch_size(self) -> int:
        """Rows of a batch: never more than there are."""
        return min(self.recipe.train.batch_size, len(self.parts.train.rows))

    @property
    def steps_per_epoch(self) -> int:
        """Full steps that the train part fills."""
        rows = len(self.parts.train.rows)
        return max(1, rows // (self.batch_size * self.recipe.train.accumulate))

    @property
    def parameters(self) -> int:
        """Numbers learned, before this training or in it."""
        term = getattr(self.model, "kmer_term", None)
        weights = sum(parameter.numel() for parameter in self.model.parameters())
        return weights + (0 if term is None else term.learned)

    def judge(self, part: Part) -> Figures:
        """Return the figures of the model as it is, on a whole part."""
        return judge(self.predict(part), part.targets, self.recipe.label_task)

    def predict(self, part: Part) -> Any:
        """Return the logits of a part: (rows, labels), or of every base (bases, classes)."""
        train = self.recipe.train
        examples = part.examples(self.length, conjoin=train.rc.startswith("conjoin"))
        order = row_lengths(part, self.length).argsort(kind="stable") if train.bucket else None
        predict = predict_positions if self.recipe.task == TOKEN_CLASSIFICATION else predict_logits
        return predict(
            self.model, examples, batch_size=self.batch_size, device=self.device, order=order
        )


@contextmanager
def prepare(recipe: FinetuneRecipe, device: str) -> Iterator[Finetuning]:
    """Read the labelled sequences or variants and build the model; nothing is written."""
    place = choose_device(device)
    require_tensorboard(recipe.train.tensorboard)
    set_threads(recipe.train.threads)
    parts, model, tokenizer, length = prepare_parts(recipe)
    make_trainable(model, recipe)
    train = recipe.train
    weighted_loss(train.class_weights, parts, recipe.label_task)  # refused before it is needed
    filled = FINE_TUNING.complete(train, train.learning_rate)
    filled["precision"] = choose_precision(train.precision, place)
    complete = recipe.model_copy(
        update={
            "data": recipe.data.model_copy(update=length),
            "train": train.model_copy(update=filled),
        }
    )
    session = Finetuning(complete, RunFolder(complete.output), parts, model, tokenizer, place)
    _require_a_step(session)
    with kernel_backend(train.backend):
        yield session


def _require_a_step(session: Finetuning) -> None:
    """Refuse steps of more rows than an epoch has."""
    batches, rows = session.recipe.train.accumulate, len(session.parts.train.rows)
    if batches * session.batch_size > rows:
        raise UsageError(
            f"train.accumulate: {batches} batches of {session.batch_size} are more than the"
            f" {rows:,} rows of train; choose fewer, or a smaller train.batch_size"
        )


def say_what_is_trained(session: Finetuning) -> None:
    """Tell what is trained on what, and what a reader of the figures must know."""
    recipe, parts = session.recipe, session.parts
    rows = ", ".join(
        f"{len(part.rows):,} {name}"
        for name, part in (("train", parts.train), ("valid", parts.valid), ("test", parts.test))
    )
    trained = sum(p.numel() for p in session.model.parameters() if p.requires_grad)
    console.say(
        f"fine-tuning {trained:,} parameters ({recipe.task}, {recipe.train.precision} linear "
        f"layers, {session.device.type}) on {parts.describe(session.length)}: {rows}"
    )
    if session.space.names:
        console.say(f"classes: {', '.join(session.space.names)}")
    for warning in parts.warnings(session.length):
        console.warn(warning)


def rebuild(recipe: FinetuneRecipe, parts: Parts) -> PreTrainedModel:
    """Return the model of a recipe with nothing left open, as it is before its first step."""
    if recipe.task == VARIANT_EFFECT:
        model, *_ = effect_model(recipe, parts.space)
    elif recipe.task == TOKEN_CLASSIFICATION:
        assert recipe.data.length is not None
        model, *_ = token_classifier(recipe, parts.space, recipe.data.length)
    else:
        assert recipe.data.length is not None
        model, *_ = classifier(recipe, parts.space, recipe.data.length)
    make_trainable(model, recipe)
    return model


def make_trainable(model: PreTrainedModel, recipe: FinetuneRecipe) -> None:
    """Set which parts of a model are recomputed, and which are trained if not all."""
    set_checkpointing(model, recipe.train.checkpointing)
    add_adapters(model, recipe.train.lora, recipe.train.seed)
