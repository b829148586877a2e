"""Where a model's files are: in a folder, in genolm itself, or on the Hugging Face hub."""

import re
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

from genolm.bundled import bundled_models, bundled_names
from genolm.errors import UsageError

HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
WANTED = (
    "config.json",
    "tokenizer_config.json",
    "*.safetensors",
    "pytorch_model-*.bin",
    *WEIGHTS,
)
ORIGINAL = ("weights.ckpt",)


def find_folder(path_or_name: str | Path) -> Path:
    """Find the folder of a model, downloading it if it is one of the hub's.

    Args:
        path_or_name: A folder, a model that comes with genolm, or "owner/name" on the hub; a
            folder of that name comes first.

    Returns:
        A folder with a config and weights.

    Raises:
        UsageError: If there is no such folder or model, no network, no config or no weights.
    """
    folder = Path(path_or_name)
    if folder.is_dir():
        return _check(folder)
    if folder.exists():
        raise UsageError(f"{folder} is a file; give the folder that holds config.json and weights")
    if (bundled := bundled_models().get(str(path_or_name))) is not None:
        return bundled
    if not HUB_ID.fullmatch(str(path_or_name)):
        raise UsageError(
            f"no model folder {path_or_name}; the models that come with genolm are"
            f" {bundled_names()}"
        )
    return _check(_download(str(path_or_name), WANTED))


def find_original(source: str | Path) -> Path:
    """Find a checkpoint to convert, downloading its folder if it is one of the hub's.

    Args:
        source: A folder, a checkpoint file, a model that comes with genolm, or "owner/name" on the
            hub.

    Returns:
        The folder or file.

    Raises:
        UsageError: If there is no such thing.
    """
    path = Path(source)
    if path.exists():
        return path
    if (bundled := bundled_models().get(str(source))) is not None:
        return bundled
    # Files end in letters, names on the hub rarely: a mistyped path is not asked for there.
    if path.suffix in (".ckpt", ".pt", ".pth", ".bin", ".safetensors") or not HUB_ID.fullmatch(
        str(source)
    ):
        raise UsageError(f"no checkpoint {source}")
    return _download(str(source), (*WANTED, *ORIGINAL))


def _check(folder: Path) -> Path:
    if not (folder / "config.json").exists():
        raise UsageError(f"{folder} has no config.json, so it is no model folder")
    if any((folder / name).exists() for name in WEIGHTS):
        return folder
    if (folder / "weights.ckpt").exists():
        raise UsageError(
            f"{folder} holds an original checkpoint: make a model folder of it with "
            f"`genolm convert {folder} -o DIR`"
        )
    raise UsageError(f"{folder} has no weights (none of {', '.join(WEIGHTS)})")


def _download(name: str, wanted: Sequence[str]) -> Path:
    try:
        return Path(snapshot_download(name, allow_patterns=list(wanted)))
    except RepositoryNotFoundError as error:
        raise UsageError(
            f"no model folder {name}, and the hub has no model of that name"
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, ConnectionError) as error:
        raise UsageError(
            f"no network: there is no folder {name}, and the hub cannot be asked for a model of "
            "that name; copy its folder here and pass the path"
        ) from error
