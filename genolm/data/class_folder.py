"""Folders in which a class is a folder or a file, as GenomicBenchmarks has them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from genolm.data.labelled_set import LabelledSet
from genolm.data.table import TABLE_SUFFIXES, read_columns
from genolm.errors import InputError

SPLIT_NAMES: Final = {
    "train": ("train",),
    "valid": ("valid", "validation", "dev", "val"),
    "test": ("test",),
}
"""What a split may be called."""


def _class_of(path: Path) -> str:
    """Return the class that a file or folder of one class is named after."""
    name = path.name
    for suffix in TABLE_SUFFIXES:
        name = name.removesuffix(suffix)
    return name


def _class_entries(folder: Path) -> list[Path]:
    """Return what stands for a class: folders of .txt files, and tables, by name."""
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    return sorted(
        entry for entry in entries if entry.is_dir() or entry.name.endswith(TABLE_SUFFIXES)
    )


def _read_text_files(folder: Path) -> Iterator[tuple[str, str]]:
    for file in sorted(folder.glob("*.txt")):
        try:
            yield str(file), "".join(file.read_text(encoding="ascii").split())
        except UnicodeDecodeError:
            raise InputError(f"{file}: not the plain text of one sequence") from None


def _read_class_tables(entry: Path, sequence: str) -> LabelledSet:
    table = read_columns(entry, [sequence])
    labels = [_class_of(entry)] * len(table.lines)
    return LabelledSet(str(entry), table.values[0], labels, [str(entry)] * len(labels), table.lines)


def read_classes(folder: Path, sequence: str) -> LabelledSet:
    """Read a folder with one folder of .txt files, or one table, for each class.

    Args:
        folder: Such as ``train`` of a GenomicBenchmarks set.
        sequence: Column with the bases, for classes that are tables.

    Raises:
        InputError: No class, or a class without a sequence.
    """
    whole = LabelledSet(str(folder), [], [], [], [])
    for entry in _class_entries(folder):
        if entry.is_dir():
            rows = list(_read_text_files(entry))
            if not rows:
                raise InputError(f"{entry}: no .txt file; each holds one sequence of the class")
            part = LabelledSet(
                str(entry),
                [text for _, text in rows],
                [entry.name] * len(rows),
                [file for file, _ in rows],
                [1] * len(rows),
            )
        else:
            part = _read_class_tables(entry, sequence)
        whole.sequences.extend(part.sequences)
        whole.labels.extend(part.labels)
        whole.files.extend(part.files)
        whole.lines.extend(part.lines)
    if not len(whole):
        raise InputError(f"{folder}: no class; expected folders of .txt files, one for each class")
    return whole


def find_part(folder: str | Path, split: str) -> Path | None:
    """Return the file or folder of a split inside a data folder, or None when it has none.

    Args:
        folder: Such as a GenomicBenchmarks folder with ``train/`` and ``test/``, or one with
            ``train.csv.gz`` and ``test.csv.gz``.
        split: ``train``, ``valid`` (also called dev or validation) or ``test``.
    """
    for name in SPLIT_NAMES[split]:
        for suffix in ("", *TABLE_SUFFIXES):
            part = Path(folder) / f"{name}{suffix}"
            if part.exists():
                return part
    return None
