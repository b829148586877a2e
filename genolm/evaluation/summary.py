"""Results of many runs to one row of a table each: means, deviations, spreads, and leads."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from genolm.data.audit import RARE, SHORTCUT
from genolm.evaluation.plan import BASELINES, RESERVED
from genolm.evaluation.prepare import FACTS
from genolm.evaluation.results import ResultFile
from genolm.evaluation.suites import Published, published
from genolm.training.checkpoints import read_json

RIVALS: Final = ("trinucleotide", "kmer", "cnn")
"""Baselines that a model is compared with: the best of them on a task."""
VERSIONS: Final = ("versions", "begun_with")
"""Where a result says what made it; the second only where its training began with others."""
UNKNOWN: Final = "not recorded"
ALSO: Final = ("accuracy", "mcc", "f1", "auroc", "auprc")


@dataclass(frozen=True)
class Spread:
    """A figure over runs.

    Attributes:
        mean: Over the runs where it is defined.
        deviation: Standard deviation over runs (divisor n - 1); None for one run.
        spread: Largest less smallest; None for one run.
        runs: Runs where it is defined.
    """

    mean: float
    deviation: float | None
    spread: float | None
    runs: int

    def __str__(self) -> str:
        if self.deviation is None or self.spread is None:
            return f"{self.mean:.3f}"
        return f"{self.mean:.3f} ± {self.deviation:.3f} ({self.spread:.3f})"


def spread_of(values: Sequence[float | None]) -> Spread | None:
    """Return mean, deviation and spread of the defined values; None where there are none."""
    known = np.array([value for value in values if value is not None], dtype=np.float64)
    if not len(known):
        return None
    if len(known) == 1:
        return Spread(float(known[0]), None, None, 1)
    return Spread(
        float(known.mean()), float(known.std(ddof=1)), float(known.max() - known.min()), len(known)
    )


@dataclass(frozen=True)
class Row:
    """A model or baseline on a task, over its runs.

    Attributes:
        name: Of the row.
        kind: "model" or "baseline".
        value: What the protocol reports of the task's metric.
        figures: Each metric on the whole test part.
        groups: Median AUROC of each group of labels, for tasks that have some.
        without_copies: The task's metric on the test rows that are not in train, where many are.
        parameters: Of the model.
        seconds: Of one run, on average.
        interval: Of the metric over draws of the test rows, averaged over runs.
        lead: Over the better rival: its name, the difference of means, and its interval over draws
            of the test rows, averaged over runs.
        runs: How many there are.
        cut: Most test sequences that a run read only in part.
        versions: How many runs were made with each set of versions.
        machines: How many runs were made on each machine.
    """

    name: str
    kind: str
    value: Spread | None
    figures: Mapping[str, Spread | None]
    groups: Mapping[str, Spread | None]
    without_copies: Spread | None
    parameters: int | None
    seconds: float
    interval: tuple[float, float] | None
    lead: tuple[str, float, tuple[float, float] | None] | None
    runs: int
    cut: int
    versions: Counter[str]
    machines: Counter[str]


@dataclass(frozen=True)
class TaskSummary:
    """What is known of a task.

    Attributes:
        name: Of the task.
        facts: Of its ``task.json``.
        metric: It is judged by.
        rows: Baselines, then models.
        published: From papers.
    """

    name: str
    facts: Mapping[str, Any]
    metric: str
    rows: Sequence[Row]
    published: Sequence[Published]

    def row(self, name: str) -> Row | None:
        """Return a row by its name."""
        return next((row for row in self.rows if row.name == name), None)

    def remarks(self) -> str:
        """Return in one line what should be known before a figure is believed."""
        cut = max((row.cut for row in self.rows), default=0)
        longer = [f"{cut:,} test sequences are longer than the model reads"] * (cut > 0)
        strand = {True: "labels belong to a strand", False: "labels of either strand"}
        oriented = self.facts.get("oriented")
        said = [strand[oriented]] if oriented is not None else []
        return "; ".join(
            [*describe_audit(self.facts["audit"]), *self.facts["notes"], *longer, *said]
        )


def describe_audit(audit: Mapping[str, Any]) -> list[str]:
    """Return what an audit found in a few words each; what is as it should be is left out.

    Args:
        audit: Values of :class:`genolm.data.audit.Audit`.
    """
    counts = {
        "test rows are in train": audit["test_copies"],
        "are in train on the other strand": audit["test_reverse_copies"],
        "are nearly in train": audit["test_similar"],
        "are in train with another label": audit["test_conflicts"],
    }
    of_test = [f"{n:,} {words}" for words, n in counts.items() if n]
    found = [f"of {audit['test']:,}: {', '.join(of_test)}"] if of_test else []
    if audit["train_copies"]:
        found.append(f"{audit['train_copies']:,} of {audit['train']:,} train rows repeat another")
    if audit["train_conflicts"]:
        found.append(f"{audit['train_conflicts']:,} train sequences have several labels")
    majority = audit["majority"]
    alone = [
        f"{name} alone {accuracy:.3f}"
        for name, accuracy in audit["shortcuts"].items()
        if majority is not None and accuracy > majority + SHORTCUT
    ]
    usual = audit["train"] / max(1, len(audit["classes"]))
    rare = [f"{name} ({n:,})" for name, n in audit["classes"].items() if n < RARE * usual]
    return [*found, *alone, *([f"rare: {', '.join(rare)}"] if rare else [])]


def summarise(output: Path, suite: str, tasks: Sequence[str]) -> list[TaskSummary]:
    """Return what is there of tasks; one without a result is left out.

    Args:
        output: Folder of the results.
        suite: Its name.
        tasks: In the order of the table.
    """
    found = []
    for name in tasks:
        place = output / name
        if (place / FACTS).is_file() and (results := read_results(place)):
            facts = read_json(place / FACTS)
            rows = _rows(results, facts["metric"])
            found.append(TaskSummary(name, facts, facts["metric"], rows, published(suite, name)))
    return found


def read_results(place: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the results in the folder of a task by row, baselines first."""
    folders = [f for f in sorted(place.iterdir()) if f.is_dir() and f.name not in RESERVED]
    order = {name: number for number, name in enumerate(BASELINES)}
    folders.sort(key=lambda folder: order.get(folder.name, len(order)))
    results = {
        folder.name: [ResultFile(file).read() for file in sorted(folder.glob("[!.]*.json"))]
        for folder in folders
    }
    # What does not depend on the run would only seem to have no spread.
    return {
        name: own
        for name, runs in results.items()
        if (own := [run for run in runs if "as_in" not in run])
    }


def _rows(results: Mapping[str, list[dict[str, Any]]], metric: str) -> list[Row]:
    values = {
        name: spread_of([_value(run, metric) for run in runs]) for name, runs in results.items()
    }
    rivals = [(values[name], name) for name in RIVALS if values.get(name) is not None]
    best = max(rivals, key=lambda rival: rival[0].mean if rival[0] else 0.0, default=(None, ""))[1]
    return [_row(name, runs, metric, values, best) for name, runs in results.items()]


def _value(run: Mapping[str, Any], metric: str) -> float | None:
    """Return the figure that a run's protocol reports."""
    value: float | None = run.get("averaged", run["test"]).get(metric)
    return value


def _row(
    name: str,
    runs: Sequence[Mapping[str, Any]],
    metric: str,
    values: Mapping[str, Spread | None],
    best: str,
) -> Row:
    names = [name for name in (*ALSO, metric) if any(name in run["test"] for run in runs)]
    kind, own, rival = str(runs[0]["kind"]), values[name], values.get(best)
    lead = None
    if kind == "model" and own is not None and rival is not None:
        above = _mean_interval([run.get("above", {}).get(best, {}).get(metric) for run in runs])
        lead = (best, own.mean - rival.mean, above)
    return Row(
        name=name,
        kind=kind,
        value=own,
        figures={name: spread_of([run["test"].get(name) for run in runs]) for name in names},
        groups={
            group: spread_of([run["groups"][group] for run in runs])
            for group in runs[0].get("groups", {})
        },
        without_copies=spread_of([(run.get("without_copies") or {}).get(metric) for run in runs]),
        parameters=runs[0].get("parameters"),
        seconds=float(np.mean([run["seconds"] for run in runs])),
        interval=_mean_interval([run.get("intervals", {}).get(metric) for run in runs]),
        lead=lead,
        runs=len(runs),
        cut=max(run.get("cut", 0) for run in runs),
        versions=Counter(phrase for run in runs for phrase in _versions(run)),
        machines=Counter(name_each(run.get("machine")) for run in runs),
    )


def _versions(run: Mapping[str, Any]) -> set[str]:
    return {name_each(run[key]) for key in VERSIONS if key in run} or {UNKNOWN}


def name_each(values: Mapping[str, Any] | None) -> str:
    """Return a record of versions, or of a machine, as one phrase; results may be without."""
    return ", ".join(f"{name} {value}" for name, value in (values or {}).items()) or UNKNOWN


def name_all(counts: Iterable[Counter[str]]) -> str:
    """Return all that runs were made with, what most of them had first.

    Args:
        counts: How many runs had what, for each row.

    Returns:
        The phrases, with their numbers of runs where there are several; nothing without a run.
    """
    total = sum(counts, Counter[str]())
    if len(total) == 1:
        return next(iter(total))
    ordered = sorted(total.items(), key=lambda item: (-item[1], item[0]))
    return "; ".join(f"{what} ({n:,} run{'s' * (n > 1)})" for what, n in ordered)


def _mean_interval(ends: Sequence[Sequence[float] | None]) -> tuple[float, float] | None:
    known = [pair for pair in ends if pair]
    if not known:
        return None
    low, high = np.mean(np.array(known, dtype=np.float64), axis=0)
    return float(low), float(high)
