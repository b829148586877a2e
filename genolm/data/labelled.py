"""Labelled sequences: from a table, or from a folder as GenomicBenchmarks has it."""

from collections.abc import Sequence
from pathlib import Path

from genolm.data.class_folder import SPLIT_NAMES, find_part, read_classes
from genolm.data.labelled_set import SEPARATOR, LabelledSet
from genolm.data.table import read_columns
from genolm.errors import InputError, UsageError

__all__ = ["LabelledSet", "read_labelled", "read_parts"]


def names_of_ones(
    path: Path, names: Sequence[str], columns: Sequence[Sequence[str]], lines: Sequence[int]
) -> list[str]:
    """Turn columns of 0 and 1 into the names of those that are 1, joined by ``;``.

    Raises:
        InputError: A cell is neither; the message names file and line.
    """
    labels: list[str] = []
    for line, cells in zip(lines, zip(*columns, strict=True), strict=True):
        odd = next((cell for cell in cells if cell not in ("0", "1", "0.0", "1.0")), None)
        if odd is not None:
            raise InputError(f"{path}:{line}: a label column holds 0 or 1, not {odd!r}")
        ones = [name for name, cell in zip(names, cells, strict=True) if cell.startswith("1")]
        labels.append(SEPARATOR.join(ones))
    return labels


def _read_table(path: Path, sequence: str, label: str | Sequence[str] | None) -> LabelledSet:
    names = [] if label is None else [label] if isinstance(label, str) else list(label)
    table = read_columns(path, [sequence, *names])
    sequences, *columns = table.values
    many = not isinstance(label, str) and label is not None
    if many:
        labels = names_of_ones(path, names, columns, table.lines)
    else:
        labels = columns[0] if columns else []
    files = [str(path)] * len(sequences)
    return LabelledSet(
        str(path), sequences, labels, files, table.lines, label_names=tuple(names) if many else ()
    )


def _part_or_itself(folder: Path, split: str | None) -> Path:
    if split is None:
        return folder
    part = find_part(folder, split)
    if part is None and split != "train" and folder.name not in SPLIT_NAMES[split]:
        raise UsageError(
            f"{folder} has no {split} part: neither a folder nor a table called {split}"
        )
    return part or folder


def read_labelled(
    path: str | Path,
    *,
    sequence: str = "sequence",
    label: str | Sequence[str] | None = "label",
    split: str | None = None,
) -> LabelledSet:
    """Read sequences and their labels.

    Args:
        path: A CSV, TSV (both may be gzipped) or Parquet table, or a folder: with
            ``train/<class>/*.txt`` as GenomicBenchmarks has it, or ``train.csv.gz`` and the like.
        sequence: Column with the bases.
        label: Column with the label, several separated by ``;``; or a list of columns of 0 and 1;
            or None for no label. Not used where classes are folders.
        split: Which part of a folder: ``train``, ``valid`` or ``test``; None for the folder itself.

    Raises:
        UsageError: No such file, folder or part.
        InputError: A missing column, an empty sequence, a byte that is no base, ...; the message
            names file and line.
    """
    source = Path(path)
    if source.is_dir():
        source = _part_or_itself(source, split)
    if source.is_dir():
        return read_classes(source, sequence).checked()
    return _read_table(source, sequence, label).checked()


def read_parts(
    train: str | Path, test: str | Path | None, *, sequence: str = "sequence", label: str = "label"
) -> tuple[LabelledSet, LabelledSet | None]:
    """Read the train part of a labelled set, and its test part where there is one.

    Args:
        train: A table, or a folder with a train part; the folder's test part is read too.
        test: A table or folder; None for the one in the folder, if it has one.
        sequence: Column with the bases.
        label: Column with the label.

    Raises:
        UsageError: No such file, folder or part.
        InputError: As ``read_labelled``, or a part without a row.
    """
    folder = Path(train)
    split = "train" if folder.is_dir() else None
    learned = read_labelled(train, sequence=sequence, label=label, split=split)
    asked: LabelledSet | None = None
    if test is not None:
        inside = "test" if Path(test).is_dir() else None
        asked = read_labelled(test, sequence=sequence, label=label, split=inside)
    elif folder.is_dir() and find_part(folder, "test") is not None:
        asked = read_labelled(train, sequence=sequence, label=label, split="test")
    for part in (learned, asked):
        if part is not None and not len(part):
            raise InputError(f"{part.name}: no sequences")
    return learned, asked
