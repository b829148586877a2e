"""New models, with fresh weights, from the options of a recipe."""

from collections.abc import Mapping
from typing import Any

import torch

from genolm.models.backbone import GenolmModel
from genolm.models.families import FAMILIES
from genolm.modules.options import read_number, reject_unknown

# What transformers' base config takes that a recipe may well say.
LABEL_OPTIONS = frozenset({"num_labels", "id2label", "label2id", "problem_type"})

# Two more positions than bases, for the special tokens at the ends.
SPECIAL_POSITIONS = 2


def _hyenadna(n_layer: int, d_model: int, bases: int) -> dict[str, Any]:
    sizes = {"n_layer": n_layer, "d_model": d_model, "max_seq_len": bases + SPECIAL_POSITIONS}
    return {"family": "hyenadna", **sizes, "tie_word_embeddings": True}


def _caduceus(n_layer: int, d_model: int) -> dict[str, Any]:
    return {"family": "caduceus", "n_layer": n_layer, "d_model": d_model}


PRESETS: dict[str, dict[str, Any]] = {
    "hyenadna-tiny-1k-seqlen": _hyenadna(2, 128, 1_024),
    "hyenadna-tiny-1k-seqlen-d256": _hyenadna(2, 256, 1_024),
    "hyenadna-tiny-16k-seqlen-d128": _hyenadna(2, 128, 16_384),
    "hyenadna-small-32k-seqlen": _hyenadna(4, 256, 32_768),
    "hyenadna-medium-160k-seqlen": _hyenadna(8, 256, 160_000),
    "hyenadna-medium-450k-seqlen": _hyenadna(8, 256, 450_000),
    "hyenadna-large-1m-seqlen": _hyenadna(8, 256, 1_000_000),
    **{
        f"caduceus-{kind}_seqlen-{length}_d_model-{d_model}_n_layer-{n_layer}": {
            **_caduceus(n_layer, d_model),
            "rcps": kind == "ps",
        }
        for kind in ("ph", "ps")
        for length, d_model, n_layer in (
            ("1k", 118, 4),
            ("1k", 256, 4),
            ("32k", 256, 8),
            ("131k", 256, 16),
        )
    },
}


def preset_options(name: str) -> dict[str, Any]:
    """Options of a published size.

    Args:
        name: Name of the preset, after the published folder.

    Returns:
        The options, with the family under "family".

    Raises:
        ValueError: If there is none of this name; the message lists them.
    """
    if name not in PRESETS:
        raise ValueError(f"no preset {name!r}; there are {', '.join(PRESETS)}")
    return dict(PRESETS[name])


def build_model(family: str, task: str, options: Mapping[str, Any], *, seed: int) -> GenolmModel:
    """Build a model with fresh weights.

    Args:
        family: Name of the family.
        task: masked_lm, causal_lm or classification.
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
