"""The suites known by name: their tasks, how each is judged, and what was published for it.

Both tables are data of the package: ``suites.yaml`` and ``published.csv``.
"""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, cast

import yaml

from genolm.data.class_folder import find_part
from genolm.errors import InputError, UsageError
from genolm.metrics.baselines import TASKS

Kind = Literal["classification", "multilabel", "regression"]
Layout = Literal["labelled", "genomes", "variants"]
SEQUENCES: Final = ("labelled", "genomes")
VARIANTS: Final = ("variants",)
"""Layouts by what their rows are."""
METRICS: Final[dict[str, tuple[str, ...]]] = {
    "classification": ("accuracy", "mcc", "f1", "auroc", "auprc"),
    "multilabel": ("auroc", "accuracy", "mcc", "f1", "auprc"),
    "regression": ("pearson", "spearman", "r2"),
}
"""What a task of each kind may be judged by; the first is the one of a plain folder."""
FOLDER: Final = "folder"
"""The suite whose tasks are whatever lies in the folder."""
INFO: Final = "info.json"


@dataclass(frozen=True)
class Task:
    """One labelled set of a suite.

    Attributes:
        name: Of its results.
        folder: Where it lies, under the suite's folder.
        kind: What its labels are.
        metric: What the suite judges it by.
        classes: How many there are; None where nobody says.
        oriented: Whether a label belongs to one strand; None where nobody says.
        length: Bases of an input, in the papers' protocols; None for the longest train sequence.
        layout: Labelled sequences, one genome for each class to draw windows from, or variants.
        window: Bases of a window that is drawn.
        groups: Labels that are also reported together, each from its first to before the second.
        about: A sentence of the set's own, for the table.
    """

    name: str
    folder: str
    kind: Kind = "classification"
    metric: str = "accuracy"
    classes: int | None = None
    oriented: bool | None = None
    length: int | None = None
    layout: Layout = "labelled"
    window: int = 1024
    groups: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    about: str = ""

    def __post_init__(self) -> None:
        if self.kind not in TASKS:
            raise InputError(f"{self.name}: kind {self.kind!r}; choose {', '.join(TASKS)}")
        if self.metric not in METRICS[self.kind]:
            known = ", ".join(METRICS[self.kind])
            raise InputError(f"{self.name}: metric {self.metric!r} of {self.kind}; choose {known}")


@dataclass(frozen=True)
class Suite:
    """Tasks that are reported together.

    Attributes:
        name: On the command line.
        title: In a table.
        source: Where it was published.
        tasks: By name; none for a plain folder.
        runs: How often the papers repeat a training.
        epochs: Passes over the train part, in the papers' protocols; None where they name none.
        any_task: What a task is that only a recipe names; None where there are no others.
    """

    name: str
    title: str
    source: str
    tasks: Mapping[str, Task]
    runs: int = 1
    epochs: int | None = None
    any_task: Task | None = None


@dataclass(frozen=True)
class Published:
    """A figure from a paper.

    Attributes:
        model: As the paper calls it.
        size: Its parameters, as the paper says.
        metric: What the figure is.
        value: The figure, as a share.
        spread: What stands behind its plus-minus sign: largest less smallest of the runs.
        runs: How many there were; None where the paper does not say.
        protocol: The one of ours that does what the paper did; empty where there is none.
        source: Paper and table.
    """

    model: str
    size: str
    metric: str
    value: float
    spread: float | None
    runs: int | None
    protocol: str
    source: str


@cache
def known_suites() -> dict[str, Suite]:
    """Return every suite by its name."""
    file = Path(__file__).with_name("suites.yaml")
    found = yaml.safe_load(file.read_text(encoding="utf-8"))
    return {name: _read_suite(name, values) for name, values in found.items()}


def _read_suite(name: str, values: Mapping[str, Any]) -> Suite:
    shared = {key: values[key] for key in ("metric", "layout") if key in values}
    tasks = {
        task: Task(**{"name": task, "folder": task, **shared, **facts})
        for task, facts in values["tasks"].items()
    }
    repeated = {key: values[key] for key in ("runs", "epochs") if key in values}
    any_task = Task(name, name, **shared) if not tasks else None
    return Suite(name, values["title"], values["source"], tasks, **repeated, any_task=any_task)


def find_suite(name: str, data: Path) -> Suite:
    """Return a suite; one of a plain folder has the tasks that lie there.

    Args:
        name: Of the suite.
        data: Its folder.

    Raises:
        UsageError: There is no such suite or folder, or a plain folder holds no task.
        InputError: An ``info.json`` is garbled.
    """
    suites = known_suites()
    if name not in suites:
        raise UsageError(f"no suite {name!r}; choose {', '.join(suites)}")
    if not data.is_dir():
        raise UsageError(f"--data {data}: there is no such folder")
    if name != FOLDER:
        return suites[name]
    tasks = {
        entry.name: describe_folder(entry)
        for entry in sorted(data.iterdir())
        if entry.is_dir() and find_part(entry, "train") is not None
    }
    if not tasks:
        raise UsageError(f"--data {data}: no folder with a train part (train.csv.gz, train/) in it")
    return replace(suites[name], tasks=tasks)


def describe_folder(folder: Path) -> Task:
    """Return the task of a folder, with what its ``info.json`` says of kind, metric and strand."""
    file = folder / INFO
    try:
        info = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: not valid JSON: {error}") from None
    if not isinstance(info, dict):
        raise InputError(f"{file}: not a JSON object")
    said = {key: info[key] for key in ("kind", "metric", "oriented") if info.get(key) is not None}
    kind = str(said.get("kind", "classification"))
    classes = info.get("classes")
    if not isinstance(said.get("oriented", False), bool):
        raise InputError(f"{file}: oriented {said['oriented']!r}; write true, false or null")
    try:
        return Task(
            name=folder.name,
            folder=folder.name,
            kind=cast(Kind, kind),
            metric=str(said.get("metric", METRICS.get(kind, ("accuracy",))[0])),
            classes=len(classes) if isinstance(classes, list) else None,
            oriented=said.get("oriented"),
            about=str(info.get("note", "")),
        )
    except InputError as error:
        raise InputError(f"{file}: {error}") from None


@cache
def _published_rows() -> list[dict[str, str]]:
    file = Path(__file__).with_name("published.csv")
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def published(suite: str, task: str) -> list[Published]:
    """Return what was published for a task, in the papers' order."""
    return [
        Published(
            model=row["model"],
            size=row["size"],
            metric=row["metric"],
            value=float(row["value"]),
            spread=float(row["spread"]) if row["spread"] else None,
            runs=int(row["runs"]) if row["runs"] else None,
            protocol=row["protocol"],
            source=row["source"],
        )
        for row in _published_rows()
        if (row["suite"], row["task"]) == (suite, task)
    ]
