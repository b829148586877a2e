"""What is wrong with a model folder, in one line: which key, what was expected and found."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from genolm.errors import InputError
from genolm.models.configuration import GenolmConfig

LAYER = re.compile(r"\.layers\.(\d+)\.")
# Without these a config would be filled up with defaults, and the numbers would be wrong unseen.
NEEDED = ("d_model", "n_layer", "vocab_size")
NEEDED_BY_HYENA = ("max_seq_len",)


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Args:
        path: The file.

    Returns:
        Its content.

    Raises:
        InputError: If it holds anything else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path} is no JSON object: {error}") from error
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise InputError(f"{path} is no JSON object: expected names and values, found a {kind}")
    return content


def check_keys(path: Path, content: Mapping[str, Any]) -> None:
    """Refuse a config.json that leaves out what no default can stand for.

    Args:
        path: The file.
        content: What it holds.

    Raises:
        InputError: If keys are missing, or architectures is no list.
    """
    needed = list(NEEDED)
    if content.get("model_type") == "hyenadna" and not content.get("mixer"):
        needed += NEEDED_BY_HYENA
    if missing := [key for key in needed if key not in content]:
        raise InputError(f"{path} lacks {', '.join(missing)}: expected {', '.join(needed)}")
    stated = content.get("architectures")
    if stated is not None and not isinstance(stated, list):
        raise InputError(f"{path}: architectures: expected a list of names, found {stated!r}")


def describe_damage(folder: Path) -> str | None:
    """Find the safetensors file that is cut short.

    Args:
        folder: A model's folder.

    Returns:
        The file, its first tensor that is not all there, and how long the file should be and is;
        None if no file is shorter than its header says.
    """
    for path in sorted(folder.glob("*.safetensors")):
        size = path.stat().st_size
        with path.open("rb") as file:
            start = 8 + int.from_bytes(file.read(8), "little")
            if size < max(start, 8):
                return f"{path.name}: expected a header of {start} bytes, found {size} bytes in all"
            try:
                header = json.loads(file.read(start - 8))
                ends = {
                    key: start + entry["data_offsets"][1]
                    for key, entry in header.items()
                    if key != "__metadata__"
                }
            except (ValueError, LookupError, TypeError, AttributeError):
                return f"{path.name}: expected a header that names tensors, found something else"
        if cut := [key for key, end in ends.items() if end > size]:
            first, whole = min(cut, key=lambda key: ends[key]), max(ends.values())
            return f"{path.name}: {first}: expected a file of {whole} bytes, found {size}"
    return None


def describe_missing(tensors: Mapping[str, Tensor], missing: Iterable[str]) -> str | None:
    """Say which of a model's tensors a file lacks; None if there are none.

    Args:
        tensors: The model's own, by name.
        missing: Names of those that the file lacks.
    """
    keys = sorted(missing)
    if not keys:
        return None
    shape = tuple(tensors[keys[0]].shape)
    return (
        f"the weights lack {len(keys)} tensors of this config, such as {keys[0]}: "
        f"expected shape {shape}, found none"
    )


def describe_unused(unused: Iterable[str]) -> str | None:
    """Say which of a file's tensors a model has no place for; None if there are none."""
    keys = sorted(unused)
    if not keys:
        return None
    return (
        f"models of this config have no use for {len(keys)} tensors of the weights, such as "
        f"{keys[0]}: expected none of this name, found one"
    )


def describe_shapes(mismatched: Iterable[tuple[str, Iterable[int], Iterable[int]]]) -> str | None:
    """Say which tensors have another shape; None if there are none.

    Args:
        mismatched: Names, shapes in the file and shapes in the model.
    """
    entries = sorted((key, tuple(theirs), tuple(ours)) for key, theirs, ours in mismatched)
    if not entries:
        return None
    key, found, expected = entries[0]
    return (
        f"the weights have another shape of {len(entries)} tensors of this config, such as {key}: "
        f"expected {expected}, found {found}"
    )


def describe_depth(
    config: GenolmConfig, own: Iterable[str], missing: Iterable[str], unused: Iterable[str]
) -> str | None:
    """Say how many layers a file has, where a config says another number; None where it does not.

    Args:
        config: The config.
        own: Names of all tensors of the model.
        missing: Names of those that the file lacks.
        unused: Names of the file's tensors that the model lacks.
    """
    present = (set(own) - set(missing)) | set(unused)
    layers = {match[1] for key in present if (match := LAYER.search(key))}
    if len(layers) == config.n_layer:
        return None
    return f"n_layer: expected {config.n_layer} by config.json, found {len(layers)} in the weights"


def describe_untied(tied: Mapping[str, str] | None, tensors: Mapping[str, Tensor]) -> str | None:
    """Say which tensors should be shared and are not; None if there are none.

    Args:
        tied: Second names to first names, as the config has them; None if nothing is shared.
        tensors: All tensors of the model, by name.
    """
    for second, first in sorted((tied or {}).items()):
        if tensors[second].data_ptr() != tensors[first].data_ptr():
            return (
                f"tie_word_embeddings is true in config.json: expected {second} to be {first}, "
                "found another tensor of this name"
            )
    return None
