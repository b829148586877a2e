"""A suite, task by task and run by run, so that it can be stopped anywhere and gone on with.

OUT/evaluation.json      the suite, its protocol, versions
OUT/TASK/task.json       what was found in the task's files, and its audit
OUT/TASK/ROW/seed-1.json a result; what is there is not done again
OUT/TASK/ROW/seed-1/     the training: model/, metrics.json, test_predictions.tsv, ...
OUT/table.csv .md .html  of all results that are there, written after every task
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from genolm import console
from genolm.errors import UsageError
from genolm.evaluation.contest import TaskContest
from genolm.evaluation.intervals import Genomes
from genolm.evaluation.plan import Plan, PlannedTask, make_plan
from genolm.evaluation.prepare import FACTS, Prepared, prepare
from genolm.evaluation.request import Request, Run
from genolm.evaluation.results import ResultFile
from genolm.evaluation.splits import check_runs, forget_tables
from genolm.evaluation.suites import VARIANTS
from genolm.evaluation.variant_contest import VariantContest, prepare_variants
from genolm.evaluation.write_tables import write_tables
from genolm.lock import FolderHeldError, hold_folder
from genolm.training.checkpoints import read_json, write_json
from genolm.training.machine import choose_device, describe, set_threads

RECORD = "evaluation.json"
FAILURES = (ValueError, OSError, MemoryError, torch.OutOfMemoryError)
"""What ends one task or run and not the others: a user can do something about each."""


@dataclass(frozen=True)
class Failure:
    """What could not be done, and why, in one line.

    Attributes:
        what: The task, or the row and run of it.
        why: The error.
    """

    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


def evaluate(
    request: Request,
    *,
    restart: bool = False,
    device: str = "auto",
    threads: int | None = None,
) -> tuple[Path, list[Failure]]:
    """Run what is not done yet of an evaluation, and write its tables.

    Args:
        request: What is asked for.
        restart: Do the trainings of the request's tasks and models anew.
        device: "auto", "cpu" or "cuda".
        threads: CPU threads; None leaves the choice to torch.

    Returns:
        The Markdown table, and what could not be done.

    Raises:
        UsageError: The request is wrong, or the output is of another suite or protocol. Nothing has
            been run.
        InputError: A genome or an ``info.json`` cannot be read.
        KeyboardInterrupt: On Ctrl-C; the same call goes on from there.
    """
    plan = make_plan(request)
    place = choose_device(device)
    set_threads(threads)
    genomes = Genomes(request.genomes)
    _begin(plan, place)
    failures: list[Failure] = []
    waiting = dict(enumerate(plan.tasks, 1))
    held: set[int] = set()
    while waiting:
        number, planned = next(iter(waiting.items()))
        del waiting[number]
        console.say(f"{planned.task.name} ({number} of {len(plan.tasks)})")
        try:
            failures += _run_task(plan, planned, genomes, place, restart and number not in held)
        except FolderHeldError as error:
            if number in held:
                failures.append(_complain(planned.task.name, error))
            else:  # it may be done after the others, and only its rows are to be read
                held.add(number)
                waiting[number] = planned
                console.say("  another process evaluates it: after the others")
        written = write_tables(plan, [str(failure) for failure in failures])
    return written, failures


def _begin(plan: Plan, device: torch.device) -> None:
    """Write down what is evaluated, or check that it is what was."""
    output = plan.request.output
    if output.exists() and not output.is_dir():
        raise UsageError(f"--output {output}: this is a file; name a folder")
    output.mkdir(parents=True, exist_ok=True)
    record = output / RECORD
    facts = {
        "suite": plan.suite.name,
        "protocol": plan.protocol.name,
        "folds": plan.folds,
    }
    before = read_json(record) if record.is_file() else {}
    for name, value in facts.items():
        if before and before.get(name) != value:
            raise UsageError(
                f"--output {output} holds an evaluation with {name} {before.get(name)}, not"
                f" {value}: name another folder"
            )
    write_json(record, before or {**facts, **describe(device)})


def _run_task(
    plan: Plan, planned: PlannedTask, genomes: Genomes, device: torch.device, restart: bool
) -> list[Failure]:
    place = plan.request.output / planned.task.name
    place.mkdir(exist_ok=True)
    failures: list[Failure] = []
    try:
        with hold_folder(place, "another process evaluates this task"):
            if restart:
                for row in planned.recipes:
                    shutil.rmtree(place / row, ignore_errors=True)
            prepared = _prepare(plan, planned, place, genomes, restart)
            if planned.task.layout not in VARIANTS:
                check_runs(prepared, plan)
            for run in plan.runs:
                failures += _run_rows(plan, prepared, run, device)
    except FolderHeldError:
        raise
    except FAILURES as error:
        failures.append(_complain(planned.task.name, error))
    if not any(place.iterdir()):
        place.rmdir()
    return failures


def _prepare(
    plan: Plan, planned: PlannedTask, place: Path, genomes: Genomes, restart: bool
) -> Prepared:
    """Return the task; where its own files are gone, what is there is enough for finished rows."""
    facts, data = place / FACTS, plan.request.data
    done = facts.is_file() and all(file.is_there() for file in _files(plan, planned, place))
    if done and not (data / planned.task.folder).exists():
        return Prepared(planned, place, read_json(facts))
    if planned.task.layout in VARIANTS:
        return prepare_variants(plan, planned, place, restart=restart)
    return prepare(planned, data, place, genomes, restart=restart)


def _files(plan: Plan, planned: PlannedTask, place: Path) -> Iterator[ResultFile]:
    for run in plan.runs:
        for row in (*planned.baselines, *planned.recipes):
            yield ResultFile(place / row / f"{run.name}.json")


def _run_rows(plan: Plan, prepared: Prepared, run: Run, device: torch.device) -> list[Failure]:
    """Judge every baseline and model in one run of a task."""
    failures = []
    planned = prepared.planned
    kind = VariantContest if planned.task.layout in VARIANTS else TaskContest
    contest = kind(plan, prepared, run, device)
    for row in (*planned.baselines, *planned.recipes):
        file = ResultFile(prepared.place / row / f"{run.name}.json")
        known = file.is_there()
        try:
            with _quiet():
                result = contest.result(row, file)
        except FAILURES as error:
            failures.append(_complain(f"{planned.task.name}, {row}, {run.name}", error))
            continue
        if not known and "as_in" not in result:
            console.say(f"  {run.name} {row}: {_say(result)}")
    forget_tables(prepared, run)
    return failures


def _say(result: dict[str, object]) -> str:
    figures = result["test"]
    assert isinstance(figures, dict)
    names = dict.fromkeys([str(result["metric"]), "accuracy", "mcc", "auroc"])
    cells = [f"{name} {figures[name]:.4f}" for name in names if figures.get(name) is not None]
    return f"{', '.join(cells) or 'no figure'}; {result['seconds']:.0f} s"


def _complain(what: str, error: BaseException) -> Failure:
    why = " ".join(str(error).split()) or type(error).__name__
    console.warn(f"{what}: {why}")
    return Failure(what, why)


@contextmanager
def _quiet() -> Iterator[None]:
    """Say nothing of single trainings, unless everything is wanted."""
    level = console.VERBOSITY.level
    if level < 1:
        console.VERBOSITY.level = -2
    try:
        yield
    finally:
        console.VERBOSITY.level = level
