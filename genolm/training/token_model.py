"""From a recipe of ``task: token_classification`` to its model."""

from typing import Any

from genolm.data.labels import LabelSpace
from genolm.models.backbone import GenolmModel
from genolm.tokenization.tokenizer import DNATokenizer
from genolm.training.model_source import (
    freeze_backbone,
    input_length,
    label_options,
    make_model,
    refuse_conjoining,
    refuse_counted_padding,
)
from genolm.training.recipe_finetune import FinetuneRecipe
from genolm.training.recipe_tokens import TOKEN_CLASSIFICATION

HEAD_OPTIONS = ("mask_padding",)
"""What a trained backbone can still be told when a head for every base is put on it."""


def token_classifier(
    recipe: FinetuneRecipe, space: LabelSpace, longest: int
) -> tuple[GenolmModel, DNATokenizer, int]:
    """Return the model that a recipe asks for, its tokenizer and the input length.

    Padding is left out unless the recipe says otherwise: a base then gets the same classes in any
    batch. An equivariant model tells the strands apart unless the recipe says ``head: invariant``.

    Args:
        recipe: The recipe.
        space: The classes.
        longest: Bases of the longest sequence.

    Raises:
        UsageError: When an option is unknown or wrong, or does not fit the model.
    """
    length = recipe.data.length or longest
    model, tokenizer = _make(recipe, space, length, recipe.train.head)
    refuse_conjoining(recipe, model)
    if model.config.rcps and recipe.train.head is None:
        model, tokenizer = _make(recipe, space, length, "oriented")
    most = input_length(recipe, model, length)
    if recipe.train.freeze_backbone:
        freeze_backbone(model)
    return model, tokenizer, most


def _make(
    recipe: FinetuneRecipe, space: LabelSpace, length: int, head: str | None
) -> tuple[GenolmModel, DNATokenizer]:
    implied: dict[str, Any] = label_options(recipe, space) | {"mask_padding": True}
    refuse_counted_padding(recipe)
    if head is not None:
        implied["oriented_head"] = head == "oriented"
    if recipe.model.path is None:
        implied["training_length"] = length
    return make_model(
        recipe.model,
        TOKEN_CLASSIFICATION,
        implied,
        changeable=HEAD_OPTIONS,
        seed=recipe.train.seed,
    )
