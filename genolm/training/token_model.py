"""From a recipe of ``task: token_classification`` to its model."""

from typing import Any

from genolm.data.labels import LabelSpace
from genolm.errors import UsageError
from genolm.models.backbone import GenolmModel
from genolm.tokenization.tokenizer import DNATokenizer
from genolm.training.model_source import freeze_backbone, label_options, longest_input, make_model
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
    if model.config.rcps:
        if recipe.train.rc.startswith("conjoin"):
            raise UsageError("train.rc: an equivariant model reads both strands as it is; use none")
        if recipe.train.head is None:
            model, tokenizer = _make(recipe, space, length, "oriented")
    most = longest_input(model)
    if recipe.data.length is not None and most is not None and length > most:
        raise UsageError(f"data.length: {length} is more than the model's maximum of {most}")
    if recipe.train.freeze_backbone:
        freeze_backbone(model)
    return model, tokenizer, length if most is None else min(length, most)


def _make(
    recipe: FinetuneRecipe, space: LabelSpace, length: int, head: str | None
) -> tuple[GenolmModel, DNATokenizer]:
    implied: dict[str, Any] = label_options(recipe, space) | {"mask_padding": True}
    if recipe.train.bucket and recipe.model.options.get("mask_padding", True) is not True:
        raise UsageError("train.bucket: leaves padding out; leave out model.mask_padding")
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
