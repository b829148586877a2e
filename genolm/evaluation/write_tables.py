"""The table of an evaluation as CSV, Markdown and HTML, from the results that are there."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from genolm.atomic import write_text
from genolm.console import format_seconds
from genolm.evaluation.plan import BASELINES, Plan
from genolm.evaluation.prepare import FACTS
from genolm.evaluation.summary import Row, Spread, TaskSummary, name_all, name_each, summarise
from genolm.report.page import note, page, table
from genolm.training.checkpoints import read_json

COLUMNS: Final = (
    *("suite", "task", "row", "kind", "metric", "value", "deviation", "spread", "runs"),
    *("test_rows", "accuracy", "mcc", "f1", "auroc", "auprc", "without_copies"),
    *("interval_low", "interval_high", "rival", "lead", "lead_low", "lead_high"),
    *("parameters", "seconds", "protocol", "source", "remarks"),
)
TITLES: Final = {
    "majority": "majority",
    "length": "length only",
    "trinucleotide": "trinucleotide change",
    "kmer": "k-mers",
    "cnn": "CNN",
}
READ_ME: Final = (
    "A cell is the mean over runs ± their standard deviation (largest less smallest). Lead: of the"
    " best model over the better of k-mers and CNN (of variants: trinucleotide change and k-mers),"
    " both the best by these very figures; in brackets the 95 % interval over draws of the test"
    " rows (paired bootstrap, averaged over runs)."
)


def write_tables(plan: Plan, failures: Sequence[str]) -> Path:
    """Write ``table.csv``, ``table.md`` and ``table.html`` into the output folder.

    Args:
        plan: The evaluation.
        failures: What could not be done, a line each.

    Returns:
        The Markdown file.
    """
    output = plan.request.output
    there = sorted(file.parent.name for file in output.glob(f"*/{FACTS}"))
    planned = [planned.task.name for planned in plan.tasks]
    names = dict.fromkeys([*plan.suite.tasks, *planned, *there])
    tasks = summarise(output, plan.suite.name, list(names))
    failures = [line.replace(f"{plan.request.data}/", "") for line in failures]
    record = read_json(output / "evaluation.json")
    write_text(output / "table.csv", _csv(plan, tasks))
    markdown = output / "table.md"
    write_text(markdown, _markdown(plan, tasks, record, failures))
    write_text(output / "table.html", _html(plan, tasks, record, failures))
    return markdown


def _csv(plan: Plan, tasks: Sequence[TaskSummary]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    for task in tasks:
        shared = {"suite": plan.suite.name, "task": task.name, "metric": task.metric}
        for row in task.rows:
            writer.writerow({**shared, **_row_cells(plan, task, row)})
        for one in task.published:
            writer.writerow(
                {
                    **shared,
                    "row": f"{one.model} {one.size}".strip(),
                    "kind": "published",
                    "metric": one.metric,
                    "value": one.value,
                    "spread": "" if one.spread is None else one.spread,
                    "runs": one.runs or "",
                    "protocol": one.protocol,
                    "source": one.source,
                }
            )
    return text.getvalue()


def _row_cells(plan: Plan, task: TaskSummary, row: Row) -> dict[str, Any]:
    cells: dict[str, Any] = {
        "row": row.name,
        "kind": row.kind,
        "runs": row.runs,
        "test_rows": rows_judged(task),
        "parameters": row.parameters,
        "seconds": round(row.seconds, 2),
        "protocol": plan.protocol.name,
        "remarks": task.remarks(),
        **{name: _mean(spread) for name, spread in row.figures.items()},
        "without_copies": _mean(row.without_copies),
    }
    if row.value is not None:
        cells["value"] = _number(row.value.mean)
        cells["deviation"] = _number(row.value.deviation)
        cells["spread"] = _number(row.value.spread)
    if row.interval is not None:
        cells["interval_low"], cells["interval_high"] = map(_number, row.interval)
    if row.lead is not None:
        rival, lead, ends = row.lead
        cells |= {"rival": rival, "lead": _number(lead)}
        if ends is not None:
            cells["lead_low"], cells["lead_high"] = map(_number, ends)
    return {name: cells[name] for name in cells if name in COLUMNS and cells[name] is not None}


def _mean(spread: Spread | None) -> float | None:
    return None if spread is None else _number(spread.mean)


def _number(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def rows_judged(task: TaskSummary) -> int:
    """Return the rows that a task is judged on; all of train where folds are."""
    rows: Mapping[str, int] = task.facts["rows"]
    return rows["test"] or rows["train"] + rows["valid"]


def row_names(tasks: Sequence[TaskSummary]) -> list[str]:
    """Return the rows of any task, baselines first."""
    known = dict.fromkeys(row.name for task in tasks for row in task.rows)
    return [name for name in BASELINES if name in known] + [n for n in known if n not in BASELINES]


def main_table(tasks: Sequence[TaskSummary]) -> tuple[list[str], list[list[str]]]:
    """Return headings and cells: a line for each task, and the mean over tasks."""
    names = row_names(tasks)
    head = ["task", "metric", "test rows", *(TITLES.get(name, name) for name in names)]
    lines = [
        [
            task.name,
            task.metric,
            f"{rows_judged(task):,}",
            *(_cell(task.row(name)) for name in names),
            _lead(task),
            best_published(task),
            task.remarks(),
        ]
        for task in tasks
    ]
    if len(tasks) > 1:
        means = [_mean_accuracy(tasks, name) for name in names]
        lines.append(["mean", "accuracy", "", *means, "", "", "of the tasks that have it"])
    return [*head, "lead", "best published", "remarks"], lines


def _cell(row: Row | None) -> str:
    if row is None or row.value is None:
        return "-"
    others = f"; {row.without_copies.mean:.3f} without copies" if row.without_copies else ""
    return f"{row.value}{others}"


def _mean_accuracy(tasks: Sequence[TaskSummary], name: str) -> str:
    found = [row.figures.get("accuracy") for task in tasks if (row := task.row(name)) is not None]
    known = [spread.mean for spread in found if spread is not None]
    if not known:
        return "-"
    some = "" if len(known) == len(tasks) else f" ({len(known)} tasks)"
    return f"{np.mean(known):.3f}{some}"


def _lead(task: TaskSummary) -> str:
    leads = [(row.lead, row.name) for row in task.rows if row.lead is not None]
    if not leads:
        return "-"
    (rival, lead, ends), name = max(leads, key=lambda one: one[0][1] if one[0] else 0.0)
    interval = f" [{ends[0]:+.3f}, {ends[1]:+.3f}]" if ends is not None else ""
    return f"{lead:+.3f}{interval} ({name} over {TITLES[rival]})"


def best_published(task: TaskSummary) -> str:
    """Return the highest published figure of the task's metric, and whose it is."""
    known = [one for one in task.published if one.metric == task.metric]
    if not known:
        return "-"
    best = max(known, key=lambda one: one.value)
    spread = "" if best.spread is None else f" ({best.spread:.3f})"
    return f"{best.value:.3f}{spread} {best.model}, {best.protocol}"


def detail_lines(tasks: Sequence[TaskSummary]) -> Iterator[list[str]]:
    """Yield a line for each row of each task: its metrics, parameters, seconds."""
    for task in tasks:
        for row in task.rows:
            figures = [row.figures.get(name) for name in ("accuracy", "mcc", "auroc")]
            yield [
                task.name,
                TITLES.get(row.name, row.name),
                "-" if row.value is None else f"{task.metric} {row.value.mean:.3f}",
                *("-" if figure is None else f"{figure.mean:.3f}" for figure in figures),
                "-" if row.parameters is None else f"{row.parameters:,}",
                f"{row.seconds:.1f}",
                str(row.runs),
            ]


def group_lines(tasks: Sequence[TaskSummary]) -> Iterator[list[str]]:
    """Yield a line for each group of labels of each row."""
    for task in tasks:
        for row in task.rows:
            for group, figure in row.groups.items():
                yield [task.name, TITLES.get(row.name, row.name), group, str(figure or "-")]


GROUPS: Final = ("task", "row", "median over labels", "value")
DETAILS: Final = (
    *("task", "row", "judged by", "accuracy", "MCC", "AUROC", "parameters", "seconds", "runs"),
)


def published_lines(tasks: Sequence[TaskSummary]) -> Iterator[list[str]]:
    """Yield a line for each published figure."""
    for task in tasks:
        for one in task.published:
            spread = "" if one.spread is None else f" ({one.spread:.3f})"
            yield [
                task.name,
                f"{one.model} {one.size}".strip(),
                one.metric,
                f"{one.value:.3f}{spread}",
                one.protocol,
                one.source,
            ]


PUBLISHED: Final = ("task", "model", "metric", "value", "as in protocol", "source")


def about_lines(plan: Plan, tasks: Sequence[TaskSummary], record: Mapping[str, Any]) -> list[str]:
    """Return what the figures were made with, a sentence each."""
    rows = [row for task in tasks for row in task.rows]
    versions = name_all(row.versions for row in rows) or name_each(record["versions"])
    machines = name_all(row.machines for row in rows) or name_each(record["machine"])
    seconds = sum(row.seconds * row.runs for row in rows)
    most = max([len(plan.runs), *(row.runs for row in rows)])
    seeds = "seed 1" if most == 1 else f"seeds 1 to {most}"
    runs = f"{plan.folds} folds" if plan.folds else seeds
    return [
        f"Suite: {plan.suite.title} ({plan.suite.source}).",
        f"Protocol {plan.protocol.name}: {plan.protocol.about}. {runs.capitalize()}.",
        f"Versions: {versions}. Machine: {machines}. Trainings took {format_seconds(seconds)}.",
        READ_ME,
    ]


def _markdown(
    plan: Plan, tasks: Sequence[TaskSummary], record: Mapping[str, Any], failures: Sequence[str]
) -> str:
    head, lines = main_table(tasks)
    parts = [f"# {plan.suite.title}", *about_lines(plan, tasks, record)]
    parts += [_grid(head, lines), "## Every row", _grid(DETAILS, detail_lines(tasks))]
    if groups := list(group_lines(tasks)):
        parts += ["## Groups of labels", _grid(GROUPS, groups)]
    if papers := list(published_lines(tasks)):
        parts += ["## Published", _grid(PUBLISHED, papers)]
    if failures:
        parts += ["## Not done", "\n".join(f"- {line}" for line in failures)]
    return "\n\n".join(parts) + "\n"


def _grid(head: Sequence[str], lines: Sequence[Sequence[str]] | Iterator[list[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(_plain(cell) for cell in row) + " |" for row in rows)


def _plain(cell: str) -> str:
    return " ".join(cell.replace("|", "\\|").split())


def _html(
    plan: Plan, tasks: Sequence[TaskSummary], record: Mapping[str, Any], failures: Sequence[str]
) -> str:
    head, lines = main_table(tasks)
    papers, groups = list(published_lines(tasks)), list(group_lines(tasks))
    sections = [
        ("What this is", [note(line) for line in about_lines(plan, tasks, record)]),
        ("Tasks", [table(head, lines, ours="mean")]),
        ("Every row", [table(DETAILS, detail_lines(tasks))]),
        ("Groups of labels", [table(GROUPS, groups)] if groups else []),
        ("Published", [table(PUBLISHED, papers)] if papers else []),
        ("Not done", [note(line) for line in failures]),
    ]
    return page(plan.suite.title, sections)
