"""From a command and a recipe to what will be run, all of it checked before anything is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from genolm.bundled import bundled_models, bundled_names
from genolm.errors import UsageError
from genolm.evaluation.methods import METHOD, split_method
from genolm.evaluation.protocols import Protocol, find_protocol
from genolm.evaluation.request import Request, Run
from genolm.evaluation.settings import (
    CnnSettings,
    EvaluateSettings,
    TaskSettings,
    Values,
    merge,
    read_settings,
    require_known,
)
from genolm.evaluation.suites import SEQUENCES, VARIANTS, Suite, Task, find_suite
from genolm.evaluation.variant_plan import variant_values
from genolm.training.recipe_files import apply_override, check_values
from genolm.training.recipe_finetune import FinetuneRecipe

BASELINES: Final = ("majority", "length", "trinucleotide", "kmer", "cnn")
"""Every baseline, in the order of a table."""
ONLY: Final = {"length": SEQUENCES, "cnn": SEQUENCES, "trinucleotide": VARIANTS}
"""Baselines of tasks with one layout."""
METRICS_OF: Final = (
    {"regression": "pearson", "multilabel": "auroc"},
    {"regression": "spearman", "classification": "auroc"},
)
"""What a task is judged by whose kind is given and whose metric is not: sequences, variants."""
RESERVED: Final = ("data", "task")
"""Names that stand for something else in the folder of a task."""


@dataclass(frozen=True)
class PlannedTask:
    """A task and how each model is trained on it.

    Attributes:
        task: The task.
        settings: What the recipe says of it.
        recipes: By model, the values of a fine-tuning recipe without its data and output.
        cnn: How the CNN is trained.
        baselines: That are judged beside the models, in the table's order.
        data: Of variants: their files, genome, labels and groups.
    """

    task: Task
    settings: TaskSettings
    recipes: Mapping[str, Values]
    cnn: CnnSettings
    baselines: tuple[str, ...]
    data: Values


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
    """

    request: Request
    suite: Suite
    protocol: Protocol
    folds: int | None
    runs: tuple[Run, ...]
    tasks: tuple[PlannedTask, ...]


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
    if request.folds and request.seeds:
        raise UsageError("--folds and --seeds: a run is a fold or a seed; give one of them")
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
        tuple(
            _plan_task(request, settings, suite, protocol, task, models, baselines)
            for task in tasks
        ),
    )


def _baselines_of(task: Task, asked: Sequence[str]) -> tuple[str, ...]:
    return tuple(
        name
        for name in BASELINES
        if name in asked and task.layout in ONLY.get(name, (*SEQUENCES, *VARIANTS))
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
    wanted = list(request.tasks or settings.only or dict.fromkeys([*known, *settings.tasks]))
    if not wanted:
        raise UsageError(f"{suite.name}: no task; describe some under tasks of a recipe")
    for name in {*wanted, *settings.tasks}:
        # A folder that is not there is a missing task, which leaves the others alone.
        if name not in known and suite.any_task is not None:
            known[name] = replace(suite.any_task, name=name, folder=name)
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
        given["metric"] = METRICS_OF[task.layout in VARIANTS].get(settings.kind)
    said = {key: value for key, value in given.items() if value is not None}
    return replace(task, **said)


def _plan_task(
    request: Request,
    settings: EvaluateSettings,
    suite: Suite,
    protocol: Protocol,
    task: Task,
    models: Mapping[str, list[Values]],
    baselines: Sequence[str],
) -> PlannedTask:
    own = settings.of_task(task.name)
    about: Values = {"task": task.kind}
    if task.layout in VARIANTS:
        about = variant_values(task, request.data, settings.default, own.recipe)
    recipes = {}
    for name, (layer, by_task, command) in models.items():
        values = merge(
            _of_protocol(protocol, suite, task),
            settings.default,
            layer,
            own.recipe,
            by_task.get(task.name, {}),
            command,
        )
        for override in request.overrides:
            if override.startswith(f"{METHOD}.") and isinstance(values.get(METHOD), str):
                values[METHOD] = {"name": values[METHOD]}
            apply_override(values, override)
        if request.max_minutes is not None:
            values = merge(values, {"train": {"max_minutes": request.max_minutes}})
        if task.layout not in VARIANTS:
            _refuse_files(values, f"{name} on {task.name}")
        recipes[name] = merge(values, about)
        _check(recipes[name], f"{name} on {task.name}")
    minutes: Values = {} if request.max_minutes is None else {"max_minutes": request.max_minutes}
    cnn = merge(settings.cnn.model_dump(), own.cnn, minutes)
    return PlannedTask(
        task,
        own,
        recipes,
        check_values(CnnSettings, cnn, f"cnn of {task.name}"),
        _baselines_of(task, baselines),
        about.get("data", {}),
    )


def _of_protocol(protocol: Protocol, suite: Suite, task: Task) -> Values:
    train: dict[str, Any] = dict(protocol.train)
    data: dict[str, Any] = {}
    if protocol.follows_suite and task.length is not None:
        data["length"] = task.length
    if protocol.epochs_of_suite and suite.epochs is not None:
        train["epochs"] = suite.epochs
    if protocol.by_task_metric:
        train["early_stopping_metric"] = task.metric
    if task.kind == "regression":
        train.pop("early_stopping_metric", None)
    return {"train": train, "data": data}


def _refuse_files(values: Values, source: str) -> None:
    for key in ("train", "test", "valid"):
        if key in (values.get("data") or {}):
            raise UsageError(f"{source}: data.{key} is the suite's; it cannot be given")


def _check(values: Values, source: str) -> None:
    """Refuse what the training would refuse, before anything has been run."""
    if "output" in values:
        raise UsageError(f"{source}: output is a folder of --output; it cannot be given")
    if "model" not in values:
        raise UsageError(f"{source}: no model; write model: under its name, or under default")
    files = {"data": {"train": "train.csv.gz", "test": "test.csv.gz"}}
    _, rest = split_method(values, source)
    recipe = check_values(FinetuneRecipe, {**merge(files, rest), "output": "."}, source)
    path = recipe.model.path
    if path is not None and str(path) not in bundled_models() and not path.is_dir():
        raise UsageError(f"{source}: model.path: there is no folder {path}")
