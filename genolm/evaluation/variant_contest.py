"""One run of a task of labelled variants: what they have of their own.

Their files are read where they lie; whole groups of them (genes, elements, contigs) are held out.
"""

import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genolm.data.labels import LabelSpace
from genolm.errors import UsageError
from genolm.evaluation.baselines import Outcome, as_columns
from genolm.evaluation.contest import TaskContest
from genolm.evaluation.plan import Plan, PlannedTask
from genolm.evaluation.prepare import FACTS, Prepared, forget_results
from genolm.evaluation.request import Run
from genolm.evaluation.settings import Values
from genolm.evaluation.splits import assign_folds
from genolm.training.checkpoints import read_json, write_json
from genolm.training.judge import Figures, judge
from genolm.training.recipe_files import check_values
from genolm.training.recipe_finetune import LabelledSection
from genolm.training.variant_files import VariantFiles, read_variant_files
from genolm.training.variant_parts import VariantParts

WINDOW: Final = 1024
"""Bases of a window where the recipe names none; a model may read others, of the same variants."""
NAMES: Final = {"trinucleotide": "trinucleotide", "kmer": "kmer_difference"}
"""What the baselines are called among variants."""


def prepare_variants(
    plan: Plan, planned: PlannedTask, place: Path, *, restart: bool = False
) -> Prepared:
    """Read the variants of a task and write down what was found.

    Args:
        plan: The evaluation.
        planned: The task.
        place: Folder of its results, which is there.
        restart: Remove the results of other data that are there.

    Raises:
        UsageError: A file, a group or the test part is missing, the protocol is a paper's, or the
            data is not that of the results that are there.
        InputError: A file is not what it should be, or is of another genome.
    """
    if plan.protocol.name != "clean":
        raise UsageError(f"--protocol {plan.protocol.name}: variants have the protocol clean only")
    run = plan.runs[0]
    files = _read(planned, _section(planned, plan, run))
    parts = _split(planned, files, run)
    facts = _facts(planned, parts)
    before = read_json(place / FACTS) if (place / FACTS).is_file() else facts
    if before["digest"] != facts["digest"]:
        forget_results(place, planned.task.name, restart=restart)
    write_json(place / FACTS, facts)
    return Prepared(planned, place, facts)


def _facts(planned: PlannedTask, parts: VariantParts) -> Values:
    task, found = planned.task, parts.facts()["duplicates"]
    sizes = {name: len(getattr(parts, name).rows) for name in ("train", "valid", "test")}
    return {
        "task": task.name,
        "kind": task.kind,
        "metric": task.metric,
        "oriented": None,
        "about": task.about,
        "classes": list(parts.space.names),
        "label_columns": [],
        "rows": sizes,
        "lengths": [parts.window, parts.window],
        "digest": " ".join(digest[:16] for digest in parts.digests().values()),
        "audit": {
            "train": sizes["train"],
            "test": sizes["test"],
            "test_copies": found["test_in_train"],
            "test_similar": found["test_near_train"],
            **dict.fromkeys(("test_reverse_copies", "test_conflicts"), 0),
            **dict.fromkeys(("train_copies", "train_conflicts"), 0),
            "classes": {},
            "majority": None,
            "shortcuts": {},
        },
        "notes": list(_skipped(parts)),
        "copies": [],
    }


def _skipped(parts: VariantParts) -> list[str]:
    return [
        f"{part}: left out {', '.join(f'{count:,} {reason}' for reason, count in counts.items())}"
        for part, counts in parts.skipped.items()
        if counts
    ]


def _read(planned: PlannedTask, section: Mapping[str, Any]) -> VariantFiles:
    data = check_values(LabelledSection, section, f"data of {planned.task.name}")
    if data.fasta is None:
        raise UsageError(f"{planned.task.name}: data.fasta is required: the reference genome")
    return read_variant_files(data)


def _split(planned: PlannedTask, files: VariantFiles, run: Run) -> VariantParts:
    space = LabelSpace.learn(files.train, planned.task.kind)
    return files.split(space, files.data.window or WINDOW, run.seed)


def _section(planned: PlannedTask, plan: Plan, run: Run) -> Values:
    """Return the ``data`` section of a run; with folds, whole groups are held out in turn."""
    data = dict(planned.data)
    if run.fold is None or plan.folds is None:
        return data
    if data.get("group") is None:
        raise UsageError("--folds: variants are held out by groups; name them with data.group")
    has_test = data.get("test") is not None or data.get("test_groups") is not None
    held = _groups_of_fold(planned, data, run.fold, plan.folds)
    return data | {"valid_groups" if has_test else "test_groups": held}


def _groups_of_fold(
    planned: PlannedTask, data: Mapping[str, Any], number: int, folds: int
) -> list[str]:
    """Return the groups that a fold holds out."""
    has_test = data.get("test") is not None or data.get("test_groups") is not None
    # Reading needs some test part; the train file is one.
    section = data if has_test else {**data, "test": data.get("train")}
    groups = sorted(set(_read(planned, section).train.groups))
    if len(groups) < folds:
        raise UsageError(f"--folds {folds}: too many for {len(groups)} groups")
    fold_of = assign_folds(len(groups), folds)
    return [group for group, fold in zip(groups, fold_of, strict=True) if fold == number - 1]


class VariantContest(TaskContest):
    """One run of a task of variants."""

    @cached_property
    def section(self) -> Values:
        """What the ``data`` section of every recipe of this run says."""
        return _section(self.prepared.planned, self.plan, self.run)

    @cached_property
    def variants(self) -> VariantParts:
        """The variants, split as every row of this run has them."""
        planned = self.prepared.planned
        return _split(planned, _read(planned, self.section), self.run)

    @property
    def targets(self) -> NDArray[Any]:
        """The test labels."""
        return self.variants.test.targets

    @cached_property
    def baseline_scores(self) -> dict[str, NDArray[np.float64]]:
        """What baselines say of the test variants."""
        return self.variants.baseline_scores(self.prepared.planned.task.kind, self.run.seed)

    def outcome(self, row: str) -> Outcome:
        """Return what a baseline reaches."""
        began = time.monotonic()
        kind, targets = self.prepared.planned.task.kind, self.targets
        if row == "majority":
            figures: Figures = {"n": len(targets)}
            for found in self.variants.constant_figures(kind).values():
                figures |= found
            constant = {"mcc": 0.0, "auroc": 0.5} if kind == "classification" else {}
            return Outcome({**figures, **constant}, None, None, None, 0.0)
        scores = self.baseline_scores[NAMES[row]]
        figures = judge(as_columns(scores), targets, kind)
        return Outcome(figures, scores, None, None, time.monotonic() - began)

    def count_cut(self, data: Mapping[str, Any]) -> int:
        """Return 0: what a window does not hold is left out and counted."""
        return 0
