"""From a recipe's ``model`` section to a model: a new one, or one to go on from."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from genolm.data.labels import LabelSpace
from genolm.errors import UsageError
from genolm.models import build_model, load, maximum_length, preset_options
from genolm.models.auto import TOKENIZERS
from genolm.models.backbone import GenolmModel
from genolm.models.classification import SequenceClassifier
from genolm.models.configuration import GenolmConfig
from genolm.models.families import FAMILIES, Task
from genolm.objectives import Objective
from genolm.tokenization.tokenizer import DNATokenizer
from genolm.training.judge import PROBLEM_TYPES
from genolm.training.recipe import ModelSection
from genolm.training.recipe_finetune import FinetuneRecipe
from genolm.training.recipe_pretrain import PretrainRecipe

OF_SEQUENCES = ("pool_segments", "kmers", "kmer_strands")
"""What only the head for whole sequences looks at."""
HEAD_OPTIONS = ("pooling_strategy", "mask_padding", *OF_SEQUENCES)
"""What a trained backbone can still be told when a new head is put on it."""


def language_model(recipe: PretrainRecipe) -> tuple[GenolmModel, DNATokenizer]:
    """Return the model that a pretraining recipe asks for, and its tokenizer.

    Raises:
        UsageError: When an option is unknown or wrong, or the model does not fit the objective or
            the length.
    """
    length = recipe.data.length
    model, tokenizer = make_model(
        recipe.model,
        recipe.objective,
        {"training_length": length},
        changeable=(),
        seed=recipe.train.seed,
    )
    most = longest_input(model)
    if most is not None and length > most:
        fix = "choose less" if recipe.model.path else "choose less, or raise model.max_seq_len"
        raise UsageError(f"data.length: {length} is more than the model's maximum of {most}; {fix}")
    return model, tokenizer


def classifier(
    recipe: FinetuneRecipe, space: LabelSpace, longest: int
) -> tuple[GenolmModel, DNATokenizer, int]:
    """Return the model that a fine-tuning recipe asks for, its tokenizer and the input length.

    Args:
        recipe: The recipe.
        space: What labels can be.
        longest: Bases of the longest train sequence.

    Raises:
        UsageError: When an option is unknown or wrong, or does not fit the model.
    """
    length = recipe.data.length or longest
    labels = label_options(recipe, space)
    refuse_counted_padding(recipe)
    if recipe.train.bucket:
        labels["mask_padding"] = True
    if recipe.train.head is not None:
        labels["oriented_head"] = recipe.train.head == "oriented"
    fresh = labels if recipe.model.path else labels | {"training_length": length}
    model, tokenizer = make_model(
        recipe.model, "classification", fresh, changeable=HEAD_OPTIONS, seed=recipe.train.seed
    )
    refuse_conjoining(recipe, model)
    if isinstance(model, SequenceClassifier) and "kmer_strands" not in recipe.model.options:
        model.count_strands(2 if reads_both(recipe, model) else 1)
    most = input_length(recipe, model, length)
    if recipe.train.freeze_backbone:
        freeze_backbone(model)
    return model, tokenizer, most


def reads_both(recipe: FinetuneRecipe, model: GenolmModel) -> bool:
    """Tell whether a model learns to say the same of both strands."""
    invariant = model.config.rcps and not model.config.oriented_head
    return recipe.train.rc != "none" or invariant


def refuse_counted_padding(recipe: FinetuneRecipe) -> None:
    """Refuse batches of similar lengths whose padding counts."""
    if recipe.train.bucket and recipe.model.options.get("mask_padding", True) is not True:
        raise UsageError("train.bucket: leaves padding out; leave out model.mask_padding")


def refuse_conjoining(recipe: FinetuneRecipe, model: GenolmModel) -> None:
    """Refuse to show both strands to a model that reads both by itself."""
    if recipe.train.rc.startswith("conjoin") and model.config.rcps:
        raise UsageError("train.rc: an equivariant model reads both strands as it is; use none")


def input_length(recipe: FinetuneRecipe, model: GenolmModel, length: int) -> int:
    """Return how many bases a model reads of sequences of a length.

    Raises:
        UsageError: The recipe asks for more than the model reads.
    """
    most = longest_input(model)
    if recipe.data.length is not None and most is not None and length > most:
        raise UsageError(f"data.length: {length} is more than the model's maximum of {most}")
    return length if most is None else min(length, most)


def language_backbone(
    recipe: FinetuneRecipe, objective: Objective, length: int
) -> tuple[GenolmModel, DNATokenizer]:
    """Return the model of a fine-tuning recipe with the head of a language model.

    Args:
        recipe: The recipe.
        objective: What the model is to guess.
        length: Tokens of an input.

    Raises:
        UsageError: When the model cannot be trained so.
    """
    section = recipe.model.without(OF_SEQUENCES)
    try:
        return make_model(
            section,
            objective,
            {"training_length": length},
            changeable=HEAD_OPTIONS,
            seed=recipe.train.seed,
        )
    except UsageError as error:
        raise UsageError(f"train.self_pretrain: {error}") from None


def label_options(recipe: FinetuneRecipe, space: LabelSpace) -> dict[str, Any]:
    """Return the options of a config that say what is predicted, and from which strands."""
    names = space.names or ("value",)
    return {
        "id2label": dict(enumerate(names)),
        "label2id": {name: number for number, name in enumerate(names)},
        "problem_type": PROBLEM_TYPES[recipe.label_task],
        "conjoin_train": recipe.train.rc == "conjoin",
        "conjoin_eval": recipe.train.rc == "conjoin_eval",
    }


def freeze_backbone(model: GenolmModel) -> None:
    """Leave the head alone to be trained."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.startswith("score.")


def make_model(
    section: ModelSection,
    task: Task,
    implied: Mapping[str, Any],
    *,
    changeable: Iterable[str],
    seed: int,
) -> tuple[GenolmModel, DNATokenizer]:
    """Load or build the model of a section; ``implied`` options follow from the recipe's rest."""
    given = section.options
    if section.path is not None:
        _require_known(given, changeable, f"of a model from {section.path}")
        try:
            return load(section.path, task=task, options={**implied, **given}, seed=seed)
        except UsageError as error:
            raise UsageError(f"model.path: {error}") from None
    try:
        preset = {} if section.preset is None else preset_options(section.preset)
        family = section.family or str(preset.pop("family"))
        if family in FAMILIES:
            known = FAMILIES[family].config.kinds()
            others = () if task == "classification" else OF_SEQUENCES
            _require_known(given, known.keys() - set(others), f"of {family}")
        model = build_model(family, task, {**implied, **preset, **given}, seed=seed)
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(f"model: {error}") from None
    return model, TOKENIZERS[family](model_max_length=longest_input(model))


def longest_input(model: GenolmModel) -> int | None:
    """Return the tokens that a model reads at most; None for no limit."""
    config = model.config
    assert isinstance(config, GenolmConfig)
    return maximum_length(config)


def _require_known(given: Iterable[str], known: Iterable[str], whose: str) -> None:
    choices = sorted(known)
    for name in given:
        if name not in choices:
            near = difflib.get_close_matches(name, choices, n=1)
            hint = f"did you mean model.{near[0]}?" if near else f"there are {choices or 'none'}"
            raise UsageError(f"model.{name} is not an option {whose}; {hint}")
