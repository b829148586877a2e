"""New models, with fresh weights, from the options of a recipe."""

from collections.abc import Mapping
from typing import Any

import torch

from genolm.models.backbone import GenolmModel
from genolm.models.families import FAMILIES
from genolm.models.presets import PRESETS, SPECIAL_POSITIONS, preset_options
from genolm.modules.options import read_number, reject_unknown

__all__ = ["LABEL_OPTIONS", "PRESETS", "build_model", "preset_options"]

# What transformers' base config takes that a recipe may well say.
LABEL_OPTIONS = frozenset({"num_labels", "id2label", "label2id", "problem_type"})


def build_model(family: str, task: str, options: Mapping[str, Any], *, seed: int) -> GenolmModel:
    """Build a model with fresh weights.

    Args:
        family: Name of the family.
        task: masked_lm, causal_lm, classification, token_classification or variant_effect.
        options: Options of the family's config; numbers may be given as text. Of HyenaDNA,
            max_seq_len follows from training_length where it is not given.
        seed: All weights are a function of it; the generators in use are left as they were.

    Returns:
        The model, in training mode.

    Raises:
        ValueError: If family, task or an option is unknown, of the wrong type, or does not go with
            the others.
    """
    if family not in FAMILIES:
        raise ValueError(f"no family {family!r}; there are {', '.join(FAMILIES)}")
    kinds = FAMILIES[family].config.kinds()
    reject_unknown(f"a {family} model", options, [*kinds, *LABEL_OPTIONS])
    kinds = {**kinds, "num_labels": int}
    given = {name: read_number(value, kinds.get(name)) for name, value in options.items()}
    length = given.get("training_length")
    if "max_seq_len" in kinds and isinstance(length, int):
        given.setdefault("max_seq_len", length + SPECIAL_POSITIONS)
    model_class = FAMILIES[family].for_task(task)
    config = FAMILIES[family].config(**given)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return model_class(config)
