"""One run of a task: every baseline and model on the same rows, each to a result."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from genolm.bundled import bundled_models
from genolm.evaluation.baselines import Contest, Outcome, run_baseline, varies
from genolm.evaluation.methods import run_method, split_method
from genolm.evaluation.plan import BASELINES, Plan
from genolm.evaluation.prepare import Prepared, copies_of
from genolm.evaluation.request import Run
from genolm.evaluation.results import (
    ResultFile,
    Scores,
    Values,
    averaged_figures,
    figures_of_rows,
    fingerprint_of,
    median_auroc,
    read_scores,
)
from genolm.evaluation.settings import merge
from genolm.evaluation.splits import run_tables
from genolm.metrics.intervals import Bootstrap, compare
from genolm.models.weights import find_weights, weights_digest
from genolm.training.checkpoints import read_json
from genolm.training.finetune import finetune
from genolm.training.labelled_parts import LabelledParts, read_parts
from genolm.training.machine import describe
from genolm.training.recipe_files import check_values
from genolm.training.recipe_finetune import FinetuneRecipe, LabelledSection
from genolm.training.run_folder import RunFolder

TOLD_ELSEWHERE: Final = frozenset(
    {"baselines", "baseline_intervals", "above_baselines", "classes", "duplicates", "task"}
)
"""Entries of a training's metrics.json that other files of an evaluation have."""
COPIES_COUNT: Final = 0.01
"""Share of the test rows that must be copies of train rows for the rest to be judged too."""


@dataclass
class TaskContest:
    """One run of a task.

    Attributes:
        plan: The evaluation.
        prepared: The task.
        run: Its seed or fold.
        device: To train on.
    """

    plan: Plan
    prepared: Prepared
    run: Run
    device: torch.device

    @cached_property
    def section(self) -> Values:
        """What the ``data`` section of every recipe of this run says."""
        return run_tables(self.prepared, self.plan, self.run).section()

    @cached_property
    def labelled(self) -> LabelledParts:
        """The labelled set, split as every row of this run has it."""
        section = LabelledSection.model_validate(self.section)
        return read_parts(section, self.prepared.planned.task.kind, self.run.seed)

    @property
    def targets(self) -> NDArray[Any]:
        """The test labels."""
        return self.labelled.test.targets

    def outcome(self, row: str) -> Outcome:
        """Return what a baseline reaches."""
        planned, seed = self.prepared.planned, self.run.seed
        kind, chooses = planned.task.kind, self._chooses()
        return run_baseline(
            row, Contest(self.labelled, kind, seed, chooses, planned.cnn, self.device)
        )

    def count_cut(self, data: Mapping[str, Any]) -> int:
        """Count the test rows that a model of a finished recipe read in part only."""
        length: int = data["length"]
        return sum(len(one) > length for one in self.labelled.test.rows.sequences)

    def result(self, row: str, file: ResultFile) -> Values:
        """Return the result of a row, computing it where it is not there.

        Raises:
            UsageError: What is there is of another recipe; or as the training.
        """
        is_model = row in self.prepared.planned.recipes
        fingerprint = self._fingerprint(row)
        if file.is_there() and (is_model or file.read().get("fingerprint") == fingerprint):
            file.require(fingerprint)
            return self._taken_up(file) if is_model else file.read()
        file.path.parent.mkdir(exist_ok=True)
        values, scores = self._train(row, file) if is_model else self._baseline(row)
        values = {**self._names(row, is_model, fingerprint), **values, **self._judged(scores)}
        if is_model and scores is not None:
            values |= self._compared(scores)
        file.write(values, scores)
        return values

    def _fingerprint(self, row: str) -> str:
        planned, facts = self.prepared.planned, self.prepared.facts
        settings = planned.settings
        said = f"{settings.crop} {settings.windows} {planned.task.window} {planned.task.kind}"
        shared = [facts["digest"], self.plan.protocol.name, str(self.plan.folds), self.run.name]
        if row in planned.recipes:
            recipe = planned.recipes[row]
            return fingerprint_of(recipe, *shared, said, _digest_of_model(recipe))
        cnn = planned.cnn.model_dump() if row == "cnn" else {}
        return fingerprint_of(cnn, *shared, said, row)

    def _names(self, row: str, is_model: bool, fingerprint: str) -> Values:
        task = self.prepared.planned.task
        return {
            "suite": self.plan.suite.name,
            "task": task.name,
            "row": row,
            "kind": "model" if is_model else "baseline",
            "run": self.run.name,
            "seed": self.run.seed,
            "protocol": self.plan.protocol.name,
            "metric": task.metric,
            "fingerprint": fingerprint,
            **describe(self.device),
        }

    def _baseline(self, row: str) -> tuple[Values, Scores | None]:
        if (earlier := self._same_in_first_run(row)) is not None:
            return {"as_in": self.plan.runs[0].name, **earlier[0]}, earlier[1]
        found = self.outcome(row)
        return found.values(), found.scores

    def _chooses(self) -> str:
        """The figure that chooses the epoch of the CNN."""
        if self.prepared.planned.task.kind == "regression":
            return "loss"
        if self.plan.protocol.by_task_metric:
            return self.prepared.planned.task.metric
        return str(self.plan.protocol.train.get("early_stopping_metric", "loss"))

    def _same_in_first_run(self, row: str) -> tuple[Values, Scores | None] | None:
        """Return what a baseline that does not depend on the run had in the first one."""
        first = ResultFile(self.prepared.place / row / f"{self.plan.runs[0].name}.json")
        rows = self.prepared.facts["rows"]["train"]
        same_rows = self.plan.folds is None and self.plan.protocol.chosen_on != "held_out_plain"
        if self.run == self.plan.runs[0] or not same_rows or varies(row, rows):
            return None
        if not first.is_there():
            return None
        values = first.read()
        kept = ("test", "valid", "parameters", "seconds", "epochs")
        return {name: values[name] for name in kept if name in values}, first.read_scores()

    def _train(self, row: str, file: ResultFile) -> tuple[Values, Scores]:
        planned = self.prepared.planned
        source = f"{row} on {planned.task.name}"
        method, recipe_values = split_method(planned.recipes[row], source)
        values = merge(
            recipe_values,
            {
                "data": self.section,
                "train": {"seed": self.run.seed},
                "output": str(file.run_folder),
            },
        )
        recipe = check_values(FinetuneRecipe, values, source)
        if method.name != "finetune":
            return run_method(method, recipe, self.labelled, self.device)
        finetune(recipe, device=self.device.type, with_baselines=False)
        run = RunFolder(file.run_folder)
        for checkpoints in list(run.path.rglob(run.checkpoints.name)):  # of earlier stages, too
            shutil.rmtree(checkpoints)
        metrics = read_json(run.metrics)
        found = {name: metrics[name] for name in metrics if name not in TOLD_ELSEWHERE}
        found["seconds"] = sum(_seconds(metrics))
        began = read_json(run.record)["versions"]
        if began != describe(self.device)["versions"]:
            found["begun_with"] = began
        resolved = yaml.safe_load(run.recipe.read_text(encoding="utf-8"))
        found["cut"] = self.count_cut(resolved["data"])
        found["recipe"] = {key: resolved[key] for key in resolved if key != "output"}
        return found, read_scores(run.path / "test_predictions.tsv", recipe.label_task)

    def _judged(self, scores: Scores | None) -> Values:
        """Return what else is said of scores: without copies, and as papers average."""
        if scores is None:
            return {}
        task = self.prepared.planned.task.kind
        judged: Values = {}
        copies = self._copies()
        if len(copies) > COPIES_COUNT * len(self.targets):
            others = np.setdiff1d(np.arange(len(self.targets)), np.array(copies, dtype=np.int64))
            judged["without_copies"] = figures_of_rows(scores, self.targets, others, task)
        if groups := self.prepared.planned.task.groups:
            judged["groups"] = median_auroc(scores, self.targets, groups)
        if self.plan.protocol.averaged:
            judged["averaged"] = averaged_figures(scores, self.targets, task)
        return judged

    def _taken_up(self, file: ResultFile) -> Values:
        """Return a finished result, compared with the baselines that are there by now."""
        values, rivals = file.read(), self._rivals()
        # Results of earlier versions name their rivals alone.
        known = values.get("rivals") or {row: rivals.get(row) for row in values.get("above", {})}
        if known == rivals or (scores := file.read_scores()) is None:
            return values
        if compared := self._compared(scores):
            values |= compared
            file.write(values, None)
        return values

    def _rivals(self) -> dict[str, str]:
        """Return the fingerprints of the baselines that have scores in this run."""
        files = {row: self._baseline_file(row) for row in BASELINES}
        return {
            row: str(file.read().get("fingerprint"))
            for row, file in files.items()
            if file.is_there() and file.scores_path.is_file()
        }

    def _baseline_file(self, row: str) -> ResultFile:
        return ResultFile(self.prepared.place / row / f"{self.run.name}.json")

    def _copies(self) -> list[int]:
        """Return the test rows whose sequence is also learned from."""
        facts = self.prepared.facts
        if facts["rows"]["test"]:
            copies: list[int] = facts["copies"]
            return copies
        # A fold of train is the test part, and its copies are those in the other folds.
        return copies_of(self.labelled.learned.rows, self.labelled.test.rows)

    def _compared(self, scores: Scores) -> Values:
        """Return how far the model is above each baseline, with intervals over the test rows."""
        task = self.prepared.planned.task.kind
        bootstrap = Bootstrap.within(len(scores), scores.size // len(scores))
        if bootstrap is None:
            return {}
        rivals = self._rivals()
        said = {row: _shaped(self._baseline_file(row).read_scores(), scores) for row in rivals}
        # As in the file, so that a comparison made later is the same.
        own = scores.astype(np.float32).astype(np.float64)
        compared = compare(self.targets, {"": own, **said}, task=task, bootstrap=bootstrap)
        return {"above": compared.above, "intervals": compared.intervals[""], "rivals": rivals}


def _seconds(metrics: Mapping[str, Any]) -> Iterator[float]:
    """Yield the seconds of a training and of each stage before it."""
    yield metrics["seconds"]
    for stage in metrics.values():
        if isinstance(stage, Mapping) and isinstance(stage.get("seconds"), int | float):
            yield stage["seconds"]


def _shaped(known: Scores | None, scores: Scores) -> Scores:
    assert known is not None
    return known.reshape(scores.shape)


def _digest_of_model(recipe: Mapping[str, Any]) -> str:
    path = recipe["model"].get("path")
    if path is None:
        return ""
    return weights_digest(find_weights(bundled_models().get(str(path), Path(path))))
