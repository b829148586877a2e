"""Where a model's files are: in a folder, in genolm itself, or on the Hugging Face hub."""

import re
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

from genolm.bundled import bundled_models, bundled_names
from genolm.errors import UsageError

HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
WANTED = ("config.json", "tokenizer_config.json", "*.safetensors", *WEIGHTS)


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
    return _check(_download(str(path_or_name)))


def _check(folder: Path) -> Path:
    if not (folder / "config.json").exists():
        raise UsageError(f"{folder} has no config.json, so it is no model folder")
    if any((folder / name).exists() for name in WEIGHTS):
        return folder
    if (folder / "weights.ckpt").exists():
        raise UsageError(
            f"{folder} holds an original checkpoint (weights.ckpt): read it with "
            "genolm.models.hyenadna.convert_hyenadna.convert_folder and save it as a new folder"
        )
    raise UsageError(f"{folder} has no weights (none of {', '.join(WEIGHTS)})")


def _download(name: str) -> Path:
    try:
        return Path(snapshot_download(name, allow_patterns=list(WANTED)))
    except RepositoryNotFoundError as error:
        raise UsageError(
            f"no model folder {name}, and the hub has no model of that name"
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, ConnectionError) as error:
        raise UsageError(
            f"no network: there is no folder {name}, and the hub cannot be asked for a model of "
            "that name; copy its folder here and pass the path"
        ) from error
