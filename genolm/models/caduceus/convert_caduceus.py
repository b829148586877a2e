"""Caduceus's training checkpoints (Lightning files of the original code) as models of genolm."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from genolm.models.caduceus.configuration_caduceus import CaduceusConfig
from genolm.models.caduceus.modeling_caduceus import CaduceusForMaskedLM
from genolm.models.checkpoint import fill, read_tensors

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
    """
    bare = {key.removeprefix("model."): tensor for key, tensor in tensors.items()}
    return {
        key: tensor
        for key, tensor in bare.items()
        if key.startswith(("caduceus.", "lm_head.")) and not (tied and _repeats(key))
    }


def _repeats(key: str) -> bool:
    return any(f".mamba_rev.{part}." in key for part in TIED_PARTS)
