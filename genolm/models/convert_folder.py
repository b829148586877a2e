"""A conversion, written: a model folder of genolm, or one in the published layout."""

import json
import shutil
from pathlib import Path
from typing import Any, Literal

from genolm.atomic import temporary_name
from genolm.console import warn
from genolm.errors import UsageError
from genolm.models.auto import TOKENIZERS
from genolm.models.configuration import GenolmConfig, maximum_length
from genolm.models.convert import Conversion, convert
from genolm.models.hub_layout import save_hub_layout
from genolm.models.loading import quiet
from genolm.models.weights import weights_digest

ACCOUNT = "conversion.json"


def convert_folder(
    source: str | Path,
    output: str | Path,
    *,
    config: str | Path | None = None,
    layout: Literal["genolm", "hub-layout"] = "genolm",
    seed: int = 0,
    force: bool = False,
) -> Conversion:
    """Convert a checkpoint and write the folder, whole or not at all.

    Args:
        source: As in `convert`.
        output: Folder to write; the account of all tensors goes there too, as conversion.json.
        config: As in `convert`.
        layout: What the folder is for: genolm and transformers, or the original code.
        seed: As in `convert`.
        force: Whether to replace a model folder that is there.

    Returns:
        The conversion.

    Raises:
        UsageError: As in `convert`; or there is such a folder, or the original code has no such
            model.
        InputError: As in `convert`.
    """
    place = Path(output)
    _check_place(place, force)
    found = convert(source, config, seed=seed)
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = temporary_name(place)
    try:
        if layout == "genolm":
            _save(found, partial)
        else:
            save_hub_layout(found.model, partial)
        text = json.dumps(_account(found), indent=2) + "\n"
        (partial / ACCOUNT).write_text(text, encoding="utf-8")
        _put(partial, place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return found


def _check_place(place: Path, force: bool) -> None:
    if not place.exists() or (place.is_dir() and not any(place.iterdir())):
        return
    if not force:
        raise UsageError(f"{place} is there already: name another folder, or add --force")
    if not (place / "config.json").is_file():
        raise UsageError(f"{place} is no model folder, so --force does not replace it")


def _save(found: Conversion, folder: Path) -> None:
    config = found.model.config
    assert isinstance(config, GenolmConfig)
    with quiet():
        found.model.save_pretrained(folder)
        tokenizer = TOKENIZERS[config.model_type](model_max_length=maximum_length(config))
        if config.vocab_size >= tokenizer.vocab_size:
            tokenizer.save_pretrained(folder)
            return
    warn(
        f"a vocabulary of {config.vocab_size} tokens is not genolm's: the folder has no "
        "tokenizer, and AutoModel reads it while `genolm` verbs do not"
    )


def _put(partial: Path, place: Path) -> None:
    if not place.exists():
        partial.rename(place)
        return
    old = temporary_name(place)
    place.rename(old)
    partial.rename(place)
    shutil.rmtree(old)


def _account(found: Conversion) -> dict[str, Any]:
    filled = found.filled
    return {
        "source": found.weights.name,
        "source_sha256": weights_digest(found.weights),
        "class": type(found.model).__name__,
        "mapped": len(filled.mapped),
        "renamed": found.renamed,
        "shared": list(filled.shared),
        "derived": list(filled.derived),
        "ignored": list(found.ignored),
        "initialised": list(filled.initialised),
    }
