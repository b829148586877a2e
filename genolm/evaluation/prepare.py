"""A task from its own files to tables in the results' folder, checked and audited once.

``OUT/TASK/task.json`` says what was found, ``OUT/TASK/data/`` holds what every model and baseline
is given. Both are made again only when the files they were made of have changed.
"""

import csv
import gzip
import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from genolm.atomic import replace_when_done
from genolm.data.audit import audit
from genolm.data.class_folder import SPLIT_NAMES
from genolm.data.labelled import read_labelled
from genolm.data.labelled_set import LabelledSet
from genolm.data.labels import LabelSpace
from genolm.errors import InputError, UsageError
from genolm.evaluation.genomes import Drawing, read_genomes
from genolm.evaluation.intervals import Genomes
from genolm.evaluation.layouts import Source, TaskData, read_task
from genolm.evaluation.plan import PlannedTask
from genolm.genome.sequence import reverse_complement
from genolm.metrics.shortcuts import SHORTCUTS
from genolm.training.checkpoints import read_json, write_json

FACTS: Final = "task.json"
LABEL: Final = "label"
Parts = dict[str, LabelledSet | None]


@dataclass(frozen=True)
class Prepared:
    """A task whose tables are there.

    Attributes:
        planned: The task and its recipes.
        place: Folder of its results.
        facts: Of ``task.json``: rows, classes, lengths, audit, digest, ...
    """

    planned: PlannedTask
    place: Path
    facts: Mapping[str, Any]

    @property
    def label(self) -> str | list[str]:
        """The column with the label, or those of 0 and 1."""
        columns: list[str] = self.facts["label_columns"]
        return columns or LABEL

    def path(self, split: str) -> Path | None:
        """Return the table of a part; None where the task has none."""
        return data_path(self.place, split) if self.facts["rows"].get(split) else None

    def read(self, split: str) -> LabelledSet | None:
        """Read a part."""
        path = self.path(split)
        return None if path is None else read_labelled(path, label=self.label)


def data_path(place: Path, split: str) -> Path:
    """Return where the table of a part stands."""
    return place / "data" / f"{split}.csv.gz"


def prepare(
    planned: PlannedTask, data: Path, place: Path, genomes: Genomes, *, restart: bool = False
) -> Prepared:
    """Read, check and audit a task, unless that was done before.

    Args:
        planned: The task.
        data: Folder of the suite.
        place: Folder of the task's results, which is there.
        genomes: Of intervals.
        restart: Remove the results of other data that are there.

    Raises:
        UsageError: The task is missing, or its data is not that of the results that are there.
        InputError: A file is not what it should be; the message names file and line.
    """
    stamp = _stamp(planned, data, genomes)
    facts_file = place / FACTS
    before = read_json(facts_file) if facts_file.is_file() else {}
    if before.get("stamp") == stamp and _tables_are_there(place, before):
        facts = before | _said_of(planned)
        if facts != before:
            write_json(facts_file, facts)
        return Prepared(planned, place, facts)
    found = _read(planned, data, genomes)
    parts: Parts = {"train": found.train, "valid": found.valid, "test": found.test}
    parts, notes = crop(parts, planned.settings.crop)
    # Places are told as seen from the suite's folder: tables are shown elsewhere.
    own = [note.replace(f"{data}/", "") for note in found.notes]
    facts = _describe(planned, parts, [*own, *notes]) | {"stamp": stamp}
    if before and before["digest"] != facts["digest"]:
        forget_results(place, planned.task.name, restart=restart)
    (place / "data").mkdir(exist_ok=True)
    for split, rows in parts.items():
        if rows is not None:
            write_table(data_path(place, split), rows)
    write_json(facts_file, facts)
    return Prepared(planned, place, facts)


def forget_results(place: Path, task: str, *, restart: bool) -> None:
    """Remove the results of a task, which are of other data than it has now.

    Raises:
        UsageError: There are some, and nobody asked for a new beginning.
    """
    if any(place.glob("*/[!.]*.json")) and not restart:
        raise UsageError(
            f"{place}: the data of {task} is not that of the results there: give another --output,"
            " or --restart"
        )
    for folder in list(place.iterdir()):
        if folder.is_dir():
            shutil.rmtree(folder)


def _read(planned: PlannedTask, data: Path, genomes: Genomes) -> TaskData:
    task, settings = planned.task, planned.settings
    folder = data / task.folder
    if task.layout == "genomes":
        whole = folder if folder.is_dir() else data
        return read_genomes(whole, Drawing(task.window, settings.windows))
    section = settings.recipe.get("data", {})
    columns = {name: section[name] for name in ("sequence", "label") if name in section}
    return read_task(Source(task, folder, genomes, **columns))


def _stamp(planned: PlannedTask, data: Path, genomes: Genomes) -> str:
    """Return a digest of what the tables are made of: sizes and times of files, and settings."""
    task, settings = planned.task, planned.settings
    folder = data / task.folder
    files = list(folder.rglob("*")) if folder.is_dir() else list(data.glob("*"))
    states = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file()]
    genome_states = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in genomes.paths]
    said = [task.kind, task.window, settings.windows, settings.crop, settings.recipe.get("data")]
    text = json.dumps([sorted(states), genome_states, said], default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _tables_are_there(place: Path, facts: Mapping[str, Any]) -> bool:
    return all(data_path(place, split).is_file() for split, n in facts["rows"].items() if n)


def crop(parts: Parts, size: int | str | None) -> tuple[Parts, list[str]]:
    """Keep the middle of every sequence, so that all have the same length.

    Args:
        parts: By split.
        size: Bases that are kept; "shortest" for as many as the shortest sequence has; None for
            all of them.

    Returns:
        The parts, without the sequences that are too short, and a sentence about it.

    Raises:
        InputError: A part has no sequence that is long enough.
    """
    if size is None:
        return parts, []
    there = {split: rows for split, rows in parts.items() if rows is not None}
    if isinstance(size, str):
        size = min(len(one) for rows in there.values() for one in rows.sequences)
    cut: Parts = dict(parts)
    left_out = 0
    for split, rows in there.items():
        long = [row for row, one in enumerate(rows.sequences) if len(one) >= size]
        if not long:
            raise InputError(f"{rows.name}: no sequence of {size:,} bases, as crop asks for")
        left_out += len(rows) - len(long)
        kept = rows.take(long)
        kept.sequences[:] = [_middle(one, size) for one in kept.sequences]
        cut[split] = kept
    shorter = f"; {left_out:,} shorter sequences are left out" if left_out else ""
    return cut, [f"every sequence is cut to the {size:,} bases in its middle{shorter}"]


def _middle(sequence: str, size: int) -> str:
    start = (len(sequence) - size) // 2
    return sequence[start : start + size]


def _describe(planned: PlannedTask, parts: Parts, notes: Iterable[str]) -> dict[str, Any]:
    task = planned.task
    train, test = parts["train"], parts["test"]
    assert train is not None
    space = LabelSpace.learn(train, task.kind)
    for rows in parts.values():
        if rows is not None:
            space.encode(rows)
    audited = audit(train, test, SHORTCUTS if task.kind == "classification" else {})
    values = asdict(audited)
    values["conflicting_places"] = [Path(text).name for text in audited.conflicting_places]
    if task.kind != "classification":
        values |= {"classes": {}, "majority": None}
    lengths = {len(one) for rows in parts.values() if rows is not None for one in rows.sequences}
    return {
        "task": task.name,
        "kind": task.kind,
        **_said_of(planned),
        "classes": list(space.names),
        "label_columns": list(train.label_names),
        "rows": {split: 0 if rows is None else len(rows) for split, rows in parts.items()},
        "lengths": [min(lengths), max(lengths)],
        "digest": _digest(parts),
        "audit": values,
        "notes": [*notes, *_of_valid(parts), *_expected(planned, space)],
        "copies": [] if test is None else copies_of(train, test),
    }


def _of_valid(parts: Parts) -> list[str]:
    """Say how much of the test part is in a validation part of the set's own."""
    valid, test = parts["valid"], parts["test"]
    count = 0 if valid is None or test is None else len(copies_of(valid, test))
    return [f"{count:,} test rows are in the validation part, which chooses"] * (count > 0)


def _said_of(planned: PlannedTask) -> dict[str, Any]:
    """Return what may be said otherwise next time without any result being another."""
    task = planned.task
    return {"metric": task.metric, "oriented": task.oriented, "about": task.about}


def _expected(planned: PlannedTask, space: LabelSpace) -> list[str]:
    wanted = planned.task.classes
    if wanted is None or not space.names or len(space.names) == wanted:
        return []
    return [f"{len(space.names)} classes in train, where the suite has {wanted}"]


def copies_of(train: LabelledSet, test: LabelledSet) -> list[int]:
    """Return the test rows whose sequence is in train, on either strand."""
    known = {one.upper() for one in train.sequences}
    upper = [one.upper() for one in test.sequences]
    return [
        row for row, one in enumerate(upper) if one in known or reverse_complement(one) in known
    ]


def _digest(parts: Parts) -> str:
    digest = hashlib.sha256()
    for split in SPLIT_NAMES:
        if (rows := parts[split]) is not None:
            for sequence, label in zip(rows.sequences, rows.labels, strict=True):
                digest.update(f"{split}\t{sequence}\t{label}\n".encode())
    return digest.hexdigest()


def write_table(path: Path, rows: LabelledSet) -> None:
    """Write a part as a table: ``sequence,label``, or a column of 0 and 1 for each label."""
    header = ["sequence", *(rows.label_names or (LABEL,))]
    # The fastest level: such tables are read again in every run.
    with (
        replace_when_done(path) as partial,
        gzip.open(partial, "wt", compresslevel=1, encoding="utf-8", newline="") as text,
    ):
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        for sequence, label in zip(rows.sequences, rows.labels, strict=True):
            writer.writerow([sequence, *_cells(label, rows.label_names)])


def _cells(label: str, names: tuple[str, ...]) -> list[str]:
    if not names:
        return [label]
    ones = set(label.split(";"))
    return ["1" if name in ones else "0" for name in names]
