"""From the folder of a task, as its suite is distributed, to labelled sequences.

What a part may be, in the order of preference:

    train.csv.gz, train/CLASS/*.txt, train/CLASS.csv.gz     sequences (``genolm.data.labelled``)
    train.csv.gz, train/CLASS.csv.gz, intervals/train/...   intervals, with ``--reference``
    train.fna, train.fa.gz                                  ``>NAME|LABEL`` headers
    train-00000-of-00002.parquet, ...                       shards of one table
    ../train.parquet with a column ``task``                 one table for every task of a suite
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from genolm.data.class_folder import SPLIT_NAMES, find_part
from genolm.data.labelled import read_labelled
from genolm.data.labelled_set import LabelledSet
from genolm.data.table import TABLE_SUFFIXES, column_names, read_columns
from genolm.errors import InputError, UsageError
from genolm.evaluation.intervals import (
    IDS,
    REGION_NAMES,
    Genomes,
    read_interval_table,
    region_column,
    repeated_ids,
)
from genolm.evaluation.labelled_fasta import SUFFIXES, read_labelled_fasta
from genolm.evaluation.suites import Task

NOT_LABELS: Final = frozenset({"sequence", "start", "end", "strand", "task", *IDS, *REGION_NAMES})
"""Columns of a multilabel table that are no labels."""


@dataclass(frozen=True)
class TaskData:
    """A labelled set as it was found.

    Attributes:
        train: Sequences and labels.
        valid: The set's own validation part, if it has one.
        test: The test part, if it has one.
        notes: What should be known of the files.
    """

    train: LabelledSet
    valid: LabelledSet | None
    test: LabelledSet | None
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Source:
    """Where a task lies and how its columns are called.

    Attributes:
        task: The task.
        folder: Its folder.
        genomes: Where the bases of intervals are.
        sequence: Column with the bases.
        label: Column with the label.
    """

    task: Task
    folder: Path
    genomes: Genomes
    sequence: str = "sequence"
    label: str = "label"


def read_task(source: Source) -> TaskData:
    """Read the parts of a task.

    Raises:
        UsageError: The folder or its train part is missing.
        InputError: A file is not what it should be; the message names file and line.
    """
    notes: list[str] = []
    parts = {split: _read_part(source, split, notes) for split in SPLIT_NAMES}
    train = parts["train"]
    if train is None:
        raise UsageError(
            f"{source.folder}: no such task: neither this folder with a train part (a table, a"
            f" folder of classes or a FASTA) nor a table of all tasks beside it"
        )
    for rows in parts.values():
        if rows is not None and not len(rows):
            raise InputError(f"{rows.name}: no sequence")
    return TaskData(train, parts["valid"], parts["test"], tuple(notes))


def _read_part(source: Source, split: str, notes: list[str]) -> LabelledSet | None:
    """Read one part of a task; None where it has none. What should be known goes to ``notes``."""
    part = find_part(source.folder, split)
    if part is not None and part.is_file():
        return _read_tables([part], source, notes)
    if part is not None:
        return _read_class_folder(part, source, notes)
    if (intervals := find_part(source.folder / "intervals", split)) is not None:
        return _read_class_folder(intervals, source, notes)
    for name in SPLIT_NAMES[split]:
        if (file := _first_file(source.folder, name, SUFFIXES)) is not None:
            rows, repeated = read_labelled_fasta(file)
            notes.extend(repeated)
            return rows.checked()
        if shards := sorted(source.folder.glob(f"{name}-[0-9]*-of-[0-9]*.parquet")):
            return _read_tables(shards, source, notes)
    return _read_shared_table(source, split)


def _first_file(folder: Path, name: str, suffixes: Sequence[str]) -> Path | None:
    files = (folder / f"{name}{suffix}" for suffix in suffixes)
    return next((file for file in files if file.is_file()), None)


def _read_tables(files: Sequence[Path], source: Source, notes: list[str]) -> LabelledSet:
    parts = []
    for file in files:
        notes.extend(repeated_ids(file))
        parts.append(_read_table(file, source))
    return parts[0] if len(parts) == 1 else join_sets(str(source.folder), parts)


def _read_table(file: Path, source: Source) -> LabelledSet:
    columns = column_names(file)
    label: str | list[str] = source.label
    if source.task.kind == "multilabel" and source.label not in columns:
        label = [name for name in columns if name not in NOT_LABELS and name != source.sequence]
        if not label:
            raise InputError(f"{file}: no column with labels; multilabel needs some of 0 and 1")
    if source.sequence not in columns and region_column(columns) is not None:
        return read_interval_table(file, source.genomes, label=label).checked()
    return read_labelled(file, sequence=source.sequence, label=label)


def _read_class_folder(folder: Path, source: Source, notes: list[str]) -> LabelledSet:
    tables = [file for file in sorted(folder.iterdir()) if file.name.endswith(TABLE_SUFFIXES)]
    if not any(region_column(column_names(file)) for file in tables):
        return read_labelled(folder, sequence=source.sequence, label=source.label)
    parts = []
    for file in tables:
        notes.extend(repeated_ids(file))
        owner = file.name[: file.name.index(".")]
        parts.append(read_interval_table(file, source.genomes, owner=owner))
    return join_sets(str(folder), parts).checked()


def _read_shared_table(source: Source, split: str) -> LabelledSet | None:
    """Read the rows of a task from a table that a whole suite shares."""
    for file in _shared_tables(source.folder.parent, split):
        if "task" not in column_names(file):
            continue
        table = read_columns(file, [source.sequence, source.label, "task"])
        sequences, labels, tasks = table.values
        rows = [row for row, task in enumerate(tasks) if task == source.task.name]
        if rows:
            whole = LabelledSet(
                str(file), sequences, labels, [str(file)] * len(labels), table.lines
            )
            return whole.take(rows).checked()
    return None


def _shared_tables(folder: Path, split: str) -> Iterator[Path]:
    for name in SPLIT_NAMES[split]:
        if (file := _first_file(folder, name, TABLE_SUFFIXES)) is not None:
            yield file


def join_sets(name: str, parts: Sequence[LabelledSet]) -> LabelledSet:
    """Return the rows of several sets as one; they keep their places."""
    whole = LabelledSet(name, [], [], [], [], label_names=parts[0].label_names if parts else ())
    for part in parts:
        whole.sequences.extend(part.sequences)
        whole.labels.extend(part.labels)
        whole.files.extend(part.files)
        whole.lines.extend(part.lines)
    return whole
