"""From the recipe of a variant effect to its model and the size of its windows."""

from genolm.data.labels import LabelSpace
from genolm.errors import UsageError
from genolm.models.backbone import GenolmModel
from genolm.tokenization.tokenizer import DNATokenizer
from genolm.training.model_source import (
    freeze_backbone,
    label_options,
    longest_input,
    make_model,
    refuse_conjoining,
)
from genolm.training.recipe_finetune import FinetuneRecipe

HEAD_OPTIONS = ("effect_antisymmetric", "effect_hidden")
"""What a trained backbone can be told when a head for variants is put on it."""
DEFAULT_WINDOW = 1024
SHORTEST_WINDOW = 8


def effect_model(
    recipe: FinetuneRecipe, space: LabelSpace
) -> tuple[GenolmModel, DNATokenizer, int]:
    """Return the model that a recipe asks for, its tokenizer and the bases of a window.

    Args:
        recipe: The recipe.
        space: What labels can be.

    Raises:
        UsageError: When an option is unknown or wrong, or the window does not fit the model.
    """
    wanted = recipe.data.window
    implied = label_options(recipe, space)
    if recipe.model.path is None and wanted is not None:
        implied["training_length"] = wanted
    model, tokenizer = make_model(
        recipe.model, "variant_effect", implied, changeable=HEAD_OPTIONS, seed=recipe.train.seed
    )
    window = _window(model, wanted)
    for key in ("head", "bucket"):
        if getattr(recipe.train, key):
            raise UsageError(f"train.{key}: is for labelled sequences, not variants")
    refuse_conjoining(recipe, model)
    if model.config.effect_antisymmetric and recipe.data.kind != "regression":
        raise UsageError(
            "model.effect_antisymmetric: a class has no sign to change; it is for kind: regression"
        )
    if recipe.train.freeze_backbone:
        freeze_backbone(model)
    return model, tokenizer, window


def _window(model: GenolmModel, wanted: int | None) -> int:
    longest = longest_input(model)
    if wanted is None:
        known: int | None = model.config.training_length
        return known or min(DEFAULT_WINDOW, longest - 2 if longest else DEFAULT_WINDOW)
    if wanted < SHORTEST_WINDOW:
        raise UsageError(f"data.window: {wanted} is too short: at least {SHORTEST_WINDOW}")
    if longest is not None and wanted > longest:
        raise UsageError(f"data.window: {wanted} is more than the model's maximum of {longest}")
    return wanted
