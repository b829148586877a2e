"""From a command and a recipe to what will be run, all of it checked before anything is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from genolm.bundled import bundled_models, bundled_names
from genolm.errors import UsageError
from genolm.evaluation.protocols import Protocol, find_protocol
from genolm.evaluation.settings import (
    CnnSettings,
    EvaluateSettings,
    TaskSettings,
    Values,
    merge,
    read_settings,
    require_known,
)
from genolm.evaluation.suites import Suite, Task, find_suite
from genolm.training.recipe_files import apply_override, check_values
from genolm.training.recipe_finetune import FinetuneRecipe

BASELINES: Final = ("majority", "length", "kmer", "cnn")
RESERVED: Final = ("data", "task")
"""Names that stand for something else in the folder of a task."""


@dataclass(frozen=True)
class Request:
    """What a command says.

    Attributes:
        suite: Name of the suite.
        data: Its folder.
        output: Folder of the results.
        models: ``NAME``, ``PATH`` or ``NAME=PATH`` each; none for those of the recipe.
        recipe: A YAML file or the name of a shipped one.
        overrides: ``KEY=VALUE`` each, for every training.
        protocol: Its name; None for the recipe's, or clean.
        seeds: Trainings of a model on a task; None for the recipe's or the protocol's number.
        folds: Parts of k-fold cross-validation; None for the recipe's, or seeds.
        tasks: Some of the suite's; none for all.
        baselines: Some of ``BASELINES``; None for the recipe's, or all.
        genomes: ``FASTA`` or ``CLASS=FASTA`` each.
        max_minutes: Limit of one training.
    """

    suite: str
    data: Path
    output: Path
    models: Sequence[str] = ()
    recipe: str | None = None
    overrides: Sequence[str] = ()
    protocol: str | None = None
    seeds: int | None = None
    folds: int | None = None
    tasks: Sequence[str] = ()
    baselines: Sequence[str] | None = None
    genomes: Sequence[str] = ()
    max_minutes: float | None = None


@dataclass(frozen=True)
class Run:
    """One training of every model on every task.

    Attributes:
        name: ``seed-1`` or ``fold-1``.
        seed: Of everything random in it.
        fold: Number of the fold, from 1, that is held out; None where folds are not used.
    """

    name: str
    seed: int
    fold: int | None = None


@dataclass(frozen=True)
class PlannedTask:
    """A task and how each model is trained on it.

    Attributes:
        task: The task.
        settings: What the recipe says of it.
        recipes: By model, the values of a fine-tuning recipe without its data and output.
        cnn: How the CNN is trained.
    """

    task: Task
    settings: TaskSettings
    recipes: Mapping[str, Values]
    cnn: CnnSettings


@dataclass(frozen=True)
class Plan:
    """Everything that will be run.

    Attributes:
        request: The command.
        suite: The suite.
        protocol: Who chooses what on which rows.
        folds: Number of folds; None for seeds.
        runs: Trainings of a model on a task.
        tasks: In the suite's order.
        baselines: In the table's order.
    """

    request: Request
    suite: Suite
    protocol: Protocol
    folds: int | None
    runs: tuple[Run, ...]
    tasks: tuple[PlannedTask, ...]
    baselines: tuple[str, ...]


def make_plan(request: Request) -> Plan:
    """Return what a command asks for.

    Raises:
        UsageError: The suite, a task, a model, a protocol or a key of a recipe is unknown or wrong.
        InputError: An ``info.json`` is garbled.
    """
    settings, source = read_settings(request.recipe)
    suite = find_suite(request.suite, request.data)
    protocol = find_protocol(request.protocol or settings.protocol or "clean")
    folds = request.folds or settings.folds
    if folds == 1:
        raise UsageError("--folds 1: two or more are needed")
    asked = settings.baselines if request.baselines is None else request.baselines
    baselines = BASELINES if asked is None else tuple(asked)
    require_known(baselines, BASELINES, "--baselines")
    models = _models(request, settings, source)
    tasks = _tasks(request, settings, suite)
    seeds = request.seeds or settings.seeds or protocol.seeds or suite.runs
    return Plan(
        request,
        suite,
        protocol,
        folds,
        tuple(_runs(seeds, folds)),
        tuple(_plan_task(request, settings, suite, protocol, task, models) for task in tasks),
        tuple(name for name in BASELINES if name in baselines),
    )


def _runs(seeds: int, folds: int | None) -> Sequence[Run]:
    if folds is not None:
        return [Run(f"fold-{number}", number, number) for number in range(1, folds + 1)]
    return [Run(f"seed-{number}", number) for number in range(1, seeds + 1)]


def _models(request: Request, settings: EvaluateSettings, source: str) -> dict[str, list[Values]]:
    """Return for each row the recipe's layer, that of single tasks, and the command's."""
    rows: dict[str, list[Values]] = {}
    for given in request.models or settings.models:
        name, path = _name_and_path(given, settings)
        if name in (*RESERVED, *BASELINES) or "/" in name or name.startswith("."):
            raise UsageError(f"--model {given}: a row cannot be called {name!r}; write NAME=PATH")
        if name in rows:
            raise UsageError(f"--model {given}: two rows are called {name!r}; write NAME=PATH")
        own = settings.models.get(name)
        layers: list[Values] = [{}, {}] if own is None else [own.recipe, own.tasks]
        rows[name] = [*layers, {} if path is None else {"model": {"path": path}}]
    if not rows and not request.baselines and not settings.baselines:
        raise UsageError(
            f"no model: name some with --model, or under models of a recipe ({source})"
        )
    return rows


def _name_and_path(given: str, settings: EvaluateSettings) -> tuple[str, str | None]:
    name, equals, path = given.partition("=")
    if not equals and given in settings.models:
        return given, None
    path = path if equals else given
    if path not in bundled_models() and not Path(path).is_dir():
        listed = ", ".join([*settings.models, bundled_names()])
        raise UsageError(f"--model {given}: there is no model folder {path}; known: {listed}")
    if equals:
        return name, path
    folder = Path(path).resolve()
    return (folder.parent.name if folder.name == "model" else Path(path).name), path


def _tasks(request: Request, settings: EvaluateSettings, suite: Suite) -> list[Task]:
    known = dict(suite.tasks)
    wanted = list(request.tasks or settings.only or known)
    for name in {*wanted, *settings.tasks}:
        # A folder that is not there is a missing task, which leaves the others alone.
        if name not in known and suite.name == "folder":
            known[name] = Task(name, name)
    require_known(wanted, list(known), "--tasks")
    require_known(list(settings.tasks), list(known), "tasks of the recipe")
    return [_changed(known[name], settings.of_task(name)) for name in wanted]


def _changed(task: Task, settings: TaskSettings) -> Task:
    given: dict[str, Any] = {
        "folder": settings.folder,
        "metric": settings.metric,
        "kind": settings.kind,
        "oriented": settings.oriented,
        "window": settings.window,
    }
    if settings.kind is not None and settings.metric is None:
        given["metric"] = {"regression": "pearson", "multilabel": "auroc"}.get(settings.kind)
    said = {key: value for key, value in given.items() if value is not None}
    return replace(task, **said)


def _plan_task(
    request: Request,
    settings: EvaluateSettings,
    suite: Suite,
    protocol: Protocol,
    task: Task,
    models: Mapping[str, list[Values]],
) -> PlannedTask:
    own = settings.of_task(task.name)
    recipes = {}
    for name, (layer, by_task, command) in models.items():
        values = merge(
            _of_protocol(protocol, suite, task),
            settings.default,
            layer,
            own.recipe,
            by_task.get(task.name, {}),
            command,
            {"task": task.kind},
        )
        for override in request.overrides:
            apply_override(values, override)
        if request.max_minutes is not None:
            values = merge(values, {"train": {"max_minutes": request.max_minutes}})
        _check(values, f"{name} on {task.name}")
        recipes[name] = values
    minutes: Values = {} if request.max_minutes is None else {"max_minutes": request.max_minutes}
    cnn = merge(settings.cnn.model_dump(), own.cnn, minutes)
    return PlannedTask(task, own, recipes, check_values(CnnSettings, cnn, f"cnn of {task.name}"))


def _of_protocol(protocol: Protocol, suite: Suite, task: Task) -> Values:
    train: dict[str, Any] = dict(protocol.train)
    data: dict[str, Any] = {}
    if protocol.follows_suite:
        data["length"] = task.length
    if protocol.epochs_of_suite and suite.epochs is not None:
        train["epochs"] = suite.epochs
    if protocol.by_task_metric:
        train["early_stopping_metric"] = task.metric
    if task.kind == "regression":
        train.pop("early_stopping_metric", None)
    return {"train": train, "data": data}


def _check(values: Values, source: str) -> None:
    """Refuse what the training would refuse, before anything has been run."""
    for key in ("train", "test", "valid"):
        if key in (values.get("data") or {}):
            raise UsageError(f"{source}: data.{key} is the suite's; it cannot be given")
    if "output" in values:
        raise UsageError(f"{source}: output is a folder of --output; it cannot be given")
    if "model" not in values:
        raise UsageError(f"{source}: no model; write model: under its name, or under default")
    files = merge(values, {"data": {"train": "train.csv.gz", "test": "test.csv.gz"}})
    recipe = check_values(FinetuneRecipe, {**files, "output": "."}, source)
    path = recipe.model.path
    if path is not None and str(path) not in bundled_models() and not path.is_dir():
        raise UsageError(f"{source}: model.path: there is no folder {path}")
