"""Name and digest of a model, for the provenance of its numbers."""

import hashlib
from pathlib import Path
from typing import Final

from genolm.models.hub import find_folder

PATTERNS: Final = ("*.safetensors", "*.bin")
_BLOCK: Final = 1 << 20


def model_name(model: str) -> str:
    """Return how provenance calls a model: the last part of its path or of its hub id.

    A run folder keeps its model in ``RUN/model``; that model is called after the run.
    """
    path = Path(model).absolute() if Path(model).exists() else Path(model)
    return path.parent.name if path.name == "model" and path.parent.name else path.name


def model_digest(model: str) -> str:
    """Return the SHA-256 (hexadecimal) of a model's weights file, as ``sha256sum`` prints it.

    Where the weights are in several files, it is that of the files joined in order of their names.

    Args:
        model: What the model was loaded from.
    """
    folder = find_folder(model)
    files = next(found for pattern in PATTERNS if (found := sorted(folder.glob(pattern))))
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()
