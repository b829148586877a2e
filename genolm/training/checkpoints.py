"""Checkpoints that are whole or not used: what was written is written down, and checked on reading.

``complete.json`` is the last file of a checkpoint. It lists every other one with its size and
SHA-256, so that a process that died while writing, a disk that filled up and a bit that fell over
all lead back to the checkpoint before.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from genolm.atomic import write_text
from genolm.console import warn
from genolm.errors import InputError, UsageError

COMPLETE: Final = "complete.json"
FORMAT: Final = 2
"""Of what a checkpoint holds: 1 knew sizes only."""


def checkpoint_step(folder: Path) -> int:
    """Return the step in a checkpoint's name; -1 when there is none."""
    number = folder.name.rpartition("-")[2]
    return int(number) if number.isdigit() else -1


def mark_complete(folder: Path) -> None:
    """Write down that every file of a checkpoint is there, on the disk and not only in memory."""
    files = {}
    for file in sorted(folder.iterdir()):
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        files[file.name] = {"size": file.stat().st_size, "sha256": digest}
    write_json(folder / COMPLETE, {"format": FORMAT, "files": files})


def is_complete(folder: Path) -> bool:
    """Tell whether every file of a checkpoint is there and as it was written.

    Raises:
        UsageError: A newer genolm wrote it.
    """
    return find_damage(folder) is None


def find_damage(folder: Path) -> str | None:
    """Return what is wrong with a checkpoint in a few words, or None.

    Raises:
        UsageError: A newer genolm wrote it.
    """
    try:
        listed = read_json(folder / COMPLETE)
    except FileNotFoundError:
        return "it was never finished"
    except InputError:
        return f"{COMPLETE} is garbled"
    number = listed.get("format", 1)
    if isinstance(number, int) and number > FORMAT:
        raise UsageError(
            f"{folder}: a newer genolm wrote this checkpoint (format {number}, this one reads"
            f" {FORMAT}); update genolm, or --restart to begin anew"
        )
    try:
        files = _written_files(listed)
    except (AttributeError, LookupError, TypeError, ValueError):  # a bit fell over in the list
        return f"{COMPLETE} is garbled"
    found = (_file_damage(folder / name, *written) for name, written in files.items())
    return next((damage for damage in found if damage), None)


def _written_files(listed: Mapping[str, Any]) -> dict[str, tuple[int, str | None]]:
    """Return the size and the digest of every file that a list names."""
    if "format" not in listed:
        return {name: (int(size), None) for name, size in listed.items()}
    files = listed["files"].items()
    return {name: (int(one["size"]), str(one["sha256"])) for name, one in files}


def _file_damage(file: Path, size: int, expected: str | None) -> str | None:
    if not file.is_file():
        return f"{file.name} is missing"
    if (found := file.stat().st_size) != size:
        return f"{file.name} has {found:,} bytes and not {size:,}"
    if expected is None:
        return None
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return None if digest == expected else f"{file.name} does not hold what was written"


def latest_checkpoint(checkpoints: Path) -> Path | None:
    """Return the newest whole checkpoint of a folder; the others on the way are removed.

    One that was never finished is what a crash leaves, and goes without a word; one that was
    finished and is damaged is named in a warning.

    Raises:
        UsageError: A newer genolm wrote the newest one.
    """
    found = sorted(checkpoints.glob("checkpoint-*"), key=checkpoint_step, reverse=True)
    for folder in found:
        damage = find_damage(folder)
        if damage is None:
            return folder
        if (folder / COMPLETE).is_file():
            warn(f"{folder} is damaged ({damage}); going back to the one before")
        shutil.rmtree(folder)
    return None


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write ``values`` to ``path``, whole or not at all."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read what :func:`write_json` wrote.

    Raises:
        InputError: It is no JSON object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise InputError(f"{path}: not text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: not valid JSON: {error.msg}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: not a JSON object")
    return values
