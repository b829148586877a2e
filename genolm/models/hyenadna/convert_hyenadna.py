"""HyenaDNA's original checkpoints (`weights.ckpt` beside a `config.json`) as models of genolm."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from genolm.errors import InputError, UsageError
from genolm.models.checkpoint import WRAPPERS, fill, read_tensors
from genolm.models.hyenadna.configuration_hyenadna import HyenaDNAConfig
from genolm.models.hyenadna.modeling_hyenadna import HyenaDNAForCausalLM

BACKBONE = re.compile(r"^(?:hyena\.)?backbone\.")
HEADS = ("lm_head.weight", "score.weight")
WORDS = "hyena.backbone.embeddings.word_embeddings.weight"
# Checkpointed layers were wrapped once more where they were trained.
WRAPPED = re.compile(r"\.(mixer|mlp)\.layer\.")
REPEATED_SINE = re.compile(r"(.*\.implicit_filter)\.(?!1\.)\d+\.freq$")

SAME_NAME = ("d_model", "n_layer", "d_inner", "vocab_size", "pad_vocab_size_multiple")
LAYER_NAMES = {
    "l_max": "max_seq_len",
    "w": "activation_freq",
    "order": "hyena_order",
    "filter_order": "filter_order",
    "emb_dim": "emb_dim",
    "num_inner_mlps": "num_inner_mlps",
    # The original calls the taps of the short convolution an order; newer files say which.
    "local_order": "short_filter_order",
    "short_filter_order": "short_filter_order",
}
# Switches of the training code that no published model uses, and their neutral values.
NEUTRAL = {
    "_name_": "hyena",
    "modulate": True,
    "bidirectional": False,
    "num_heads": 1,
    "num_blocks": 1,
    "inner_factor": 1,
    "outer_mixing": False,
    "post_order_ffn": False,
    "activation": "id",
    "normalized": False,
}

PUBLISHED = (
    "activation_freq",
    "d_inner",
    "d_model",
    "emb_dim",
    "embed_dropout",
    "filter_order",
    "hyena_dropout",
    "hyena_filter_dropout",
    "hyena_order",
    "initializer_range",
    "layer_norm_epsilon",
    "max_seq_len",
    "n_layer",
    "num_inner_mlps",
    "pad_token_id",
    "pad_vocab_size_multiple",
    "short_filter_order",
    "train_freq",
    "use_bias",
    "vocab_size",
)
PUBLISHED_SHIFT = 0.05


def convert_folder(folder: str | Path) -> HyenaDNAForCausalLM:
    """Read an original folder.

    Args:
        folder: Holds config.json and weights.ckpt.

    Returns:
        The language model, in evaluation mode; `save_pretrained` writes it as a genolm folder.

    Raises:
        UsageError: If a file is missing.
        InputError: If a file is damaged or they do not belong together.
    """
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise UsageError(f"no config.json in {folder}")
    try:
        original = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is no JSON: {error}") from error
    return convert_checkpoint(Path(folder) / "weights.ckpt", original)


def convert_checkpoint(weights: str | Path, original: Mapping[str, Any]) -> HyenaDNAForCausalLM:
    """Read an original checkpoint.

    Args:
        weights: The checkpoint.
        original: The original's model options, with those of the mixer under "layer".

    Returns:
        The language model, in evaluation mode.

    Raises:
        UsageError: If the file is missing.
        InputError: If it is damaged, or does not fit the options.
    """
    source = Path(weights)
    tensors = convert_tensors(read_tensors(source), source)
    options = complete_options(original, tensors)
    if options["tie_word_embeddings"]:
        tensors.pop("lm_head.weight", None)
    model = HyenaDNAForCausalLM(HyenaDNAConfig(**options))
    fill(model, tensors, source)
    return model


def complete_options(options: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Translate options if they are the original's; those of a Hugging Face folder stay.

    The original's config does not say whether the head is the embedding: its tensors do.

    Args:
        options: Options of either layout.
        tensors: Name to tensor, as `convert_tensors` returns them.

    Returns:
        Options of a HyenaDNAConfig.

    Raises:
        InputError: As in `convert_options`.
    """
    if "layer" not in options:
        return dict(options)
    words = tensors.get(WORDS)
    head = tensors.get("lm_head.weight")
    tied = head is None or (words is not None and head.equal(words))
    return {**convert_options(options), "tie_word_embeddings": tied}


def convert_options(original: Mapping[str, Any]) -> dict[str, Any]:
    """Translate the original's options.

    Args:
        original: The original's model options, with those of the mixer under "layer".

    Returns:
        Options of a HyenaDNAConfig.

    Raises:
        InputError: If an option asks for what is not implemented here, or a size is missing.
    """
    layer = original.get("layer") or {}
    for name, neutral in NEUTRAL.items():
        if layer.get(name, neutral) != neutral:
            raise InputError(f"layer.{name}: {layer[name]!r} is not supported, only {neutral!r}")
    options = {name: original[name] for name in SAME_NAME if name in original}
    options |= {ours: layer[theirs] for theirs, ours in LAYER_NAMES.items() if theirs in layer}
    for name in ("d_model", "n_layer", "max_seq_len"):
        if name not in options:
            theirs = "layer.l_max" if name == "max_seq_len" else name
            raise InputError(f"the original config has no {theirs}")
    return options


def convert_tensors(tensors: Mapping[str, Tensor], source: Path) -> dict[str, Tensor]:
    """Rename the original's tensors, dropping metrics, decoders and repeated names.

    Args:
        tensors: Name to tensor, in any of the original's layouts.
        source: Where they come from, for messages.

    Returns:
        Name to tensor, as in the Hugging Face layout.

    Raises:
        InputError: If names that should share one tensor hold different ones.
    """
    named: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        key = WRAPPERS.sub("", name)
        if BACKBONE.match(key):
            named[WRAPPED.sub(r".\1.", BACKBONE.sub("hyena.backbone.", key))] = tensor
        elif key in HEADS:
            named[key] = tensor
    for key in [key for key in named if REPEATED_SINE.match(key)]:
        first = REPEATED_SINE.sub(r"\1.1.freq", key)
        if first not in named or not named.pop(key).equal(named[first]):
            raise InputError(f"{source}: {key} differs from {first}, with which it is shared")
    return named


def publish_options(config: HyenaDNAConfig) -> dict[str, Any]:
    """Options as the published folders have them.

    Args:
        config: Config of a model.

    Returns:
        The content of a config.json that the original code reads. Its head is a weight of its own.

    Raises:
        UsageError: If the original has no such model.
    """
    if config.mixer is not None:
        raise UsageError(f"the original HyenaDNA has no mixer {config.mixer_config().name!r}")
    if config.modulation_shift != PUBLISHED_SHIFT:
        raise UsageError(
            f"the original code computes filters with a shift of {PUBLISHED_SHIFT}, and this model "
            f"has modulation_shift {config.modulation_shift}"
        )
    if config.hyena_order != 2:
        raise UsageError(f"the original code runs hyena_order 2 only, not {config.hyena_order}")
    return {**{name: getattr(config, name) for name in PUBLISHED}, "tie_word_embeddings": False}
