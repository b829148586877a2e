"""Caduceus's training checkpoints (Lightning files of the original code) as models of genolm."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from genolm.errors import InputError, UsageError
from genolm.models.caduceus.configuration_caduceus import CaduceusConfig
from genolm.models.caduceus.modeling_caduceus import CaduceusForMaskedLM
from genolm.models.checkpoint import WRAPPERS, fill, read_tensors

TIED_PARTS = ("in_proj", "out_proj")


def convert_checkpoint(weights: str | Path, options: Mapping[str, Any]) -> CaduceusForMaskedLM:
    """Read a pretraining checkpoint of the original code.

    Args:
        weights: The checkpoint.
        options: Options of the CaduceusConfig that it was trained with.

    Returns:
        The language model, in evaluation mode; `save_pretrained` writes it as a genolm folder.

    Raises:
        UsageError: If the file is missing.
        InputError: If it is damaged, or does not fit the options.
    """
    source = Path(weights)
    config = CaduceusConfig(**options)
    model = CaduceusForMaskedLM(config)
    tied = config.bidirectional and config.bidirectional_weight_tie
    fill(model, convert_tensors(read_tensors(source), tied=tied), source)
    return model


def convert_tensors(tensors: Mapping[str, Tensor], *, tied: bool) -> dict[str, Tensor]:
    """Rename the original's tensors, dropping metrics and the second names of shared ones.

    Args:
        tensors: Name to tensor, with or without Lightning's prefix.
        tied: Whether both directions share their projections.

    Returns:
        Name to tensor, as in the Hugging Face layout.

    Raises:
        InputError: If both directions should share a projection and hold different ones.
    """
    named: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        key = WRAPPERS.sub("", name)
        if key.startswith("backbone."):  # of the class without a head
            key = f"caduceus.{key}"
        if key.startswith(("caduceus.", "lm_head.", "score.")):
            named[key] = tensor
    for key in [key for key in named if tied and _repeats(key)]:
        first = key.replace(".mamba_rev.", ".mamba_fwd.")
        second = named.pop(key)
        if first in named and not second.equal(named[first]):
            raise InputError(
                f"{key} differs from {first}, while bidirectional_weight_tie says that they are "
                "one tensor: set it to false in the config"
            )
    return named


def _repeats(key: str) -> bool:
    return any(f".mamba_rev.{part}." in key for part in TIED_PARTS)


def publish_options(config: CaduceusConfig) -> dict[str, Any]:
    """Options as the published folders have them.

    Args:
        config: Config of a model.

    Returns:
        The content of a config.json that the original code reads.

    Raises:
        UsageError: If the original has no such model.
    """
    if config.mixer is not None:
        raise UsageError(f"the original Caduceus has no mixer {config.mixer_config().name!r}")
    mixer = config.mixer_config()
    published: dict[str, Any] = {
        "bidirectional": config.bidirectional,
        "bidirectional_strategy": config.bidirectional_strategy,
        "bidirectional_weight_tie": config.bidirectional_weight_tie,
        "complement_map": config.complement_map,
        "d_model": config.d_model,
        "fused_add_norm": config.fused_add_norm,
        "initializer_cfg": config.initializer,
        "n_layer": config.n_layer,
        "norm_epsilon": config.norm_epsilon,
        "pad_vocab_size_multiple": config.pad_vocab_size_multiple,
        "rcps": config.rcps,
        "residual_in_fp32": config.residual_in_fp32,
        "rms_norm": config.rms_norm,
        "ssm_cfg": {**asdict(mixer), "use_fast_path": True},
        "vocab_size": config.vocab_size,
    }
    if not config.tie_word_embeddings:
        published["tie_word_embeddings"] = False
    return published
