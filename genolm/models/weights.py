"""The tensors of a model, from whatever file or folder of files holds them."""

import hashlib
import json
from pathlib import Path

import safetensors
from safetensors.torch import load_file
from torch import Tensor

from genolm.errors import InputError, UsageError
from genolm.models.checkpoint import read_tensors

# In the order of preference, where a folder has several.
WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "weights.ckpt",
)


def find_weights(folder: Path) -> Path:
    """Find the file of a folder that holds the weights, or says which files do.

    Args:
        folder: A model's folder, as published or as written by a training run.

    Returns:
        The file.

    Raises:
        UsageError: If there is none, or it is not clear which.
    """
    for name in WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    others = sorted(folder.glob("*.ckpt")) + sorted(folder.glob("*.safetensors"))
    if len(others) == 1:
        return others[0]
    if others:
        names = ", ".join(path.name for path in others)
        raise UsageError(f"{folder} holds several checkpoints, {names}: name the one to take")
    raise UsageError(f"{folder} has no weights: none of {', '.join(WEIGHTS)}, and no *.ckpt")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read tensors by name; no code of the file is run.

    Args:
        path: A safetensors file, a checkpoint that torch wrote, or the index.json of several.

    Returns:
        Name to tensor, as in the file.

    Raises:
        UsageError: If a file is missing.
        InputError: If a file is damaged, or asks for code to be run.
    """
    if path.suffix == ".json":
        return _read_shards(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    return read_tensors(path)


def weights_digest(path: Path) -> str:
    """Return the SHA-256 (hexadecimal) of a file, as ``sha256sum`` prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise UsageError(f"no checkpoint {path}")
    try:
        return load_file(path)
    except safetensors.SafetensorError as error:
        raise InputError(f"{path} is damaged or cut short: {error}") from error


def _read_shards(index: Path) -> dict[str, Tensor]:
    try:
        places = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = sorted({str(name) for name in places.values()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{index} has no weight_map of tensor names to files") from error
    if any(Path(name).name != name for name in names):
        raise InputError(f"{index} names files outside its folder")
    tensors: dict[str, Tensor] = {}
    for name in names:
        tensors |= read_weights(index.parent / name)
    lost = sorted(places.keys() - tensors.keys())
    if lost:
        raise InputError(f"{index} promises {lost[0]}, which {places[lost[0]]} does not hold")
    return tensors
