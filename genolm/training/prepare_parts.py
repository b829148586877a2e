"""What a fine-tuning recipe is about: its parts, and the model that goes with them."""

from transformers import PreTrainedModel, PreTrainedTokenizer

from genolm.data.labels import LabelSpace
from genolm.training.effect_model import effect_model
from genolm.training.labelled_parts import read_parts
from genolm.training.model_source import classifier
from genolm.training.parts import Parts
from genolm.training.recipe_finetune import FinetuneRecipe
from genolm.training.recipe_tokens import TOKEN_CLASSIFICATION
from genolm.training.recipe_variants import VARIANT_EFFECT
from genolm.training.token_model import token_classifier
from genolm.training.token_parts import read_token_parts
from genolm.training.variant_files import read_variant_files


def prepare_parts(
    recipe: FinetuneRecipe,
) -> tuple[Parts, PreTrainedModel, PreTrainedTokenizer, dict[str, int]]:
    """Return the parts, the model and its tokenizer, and the key that says the input's length."""
    if recipe.task == VARIANT_EFFECT:
        files = read_variant_files(recipe.data)
        space = LabelSpace.learn(files.train, recipe.label_task)
        model, tokenizer, window = effect_model(recipe, space)
        split = files.split(space, window, recipe.train.seed)
        return split, model, tokenizer, {"window": window}
    if recipe.task == TOKEN_CLASSIFICATION:
        tokens = read_token_parts(recipe.data, recipe.train.seed)
        if recipe.data.length is not None:
            tokens.require_fit(recipe.data.length, "data.length is")
        model, tokenizer, most = token_classifier(recipe, tokens.space, tokens.longest)
        tokens.require_fit(most, "the model reads at most")
        return tokens, model, tokenizer, {"length": most}
    parts = read_parts(recipe.data, recipe.label_task, recipe.train.seed)
    longest = max(len(sequence) for sequence in parts.train.rows.sequences)
    model, tokenizer, length = classifier(recipe, parts.space, longest)
    return parts, model, tokenizer, {"length": length}
