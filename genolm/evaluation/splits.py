"""Which rows one run of a task learns from, chooses by and is judged on."""

import shutil
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from genolm.data.holdout import split_holdout
from genolm.data.labelled_set import LabelledSet
from genolm.errors import UsageError
from genolm.evaluation.layouts import join_sets
from genolm.evaluation.plan import Plan
from genolm.evaluation.prepare import Prepared, write_table
from genolm.evaluation.request import Run
from genolm.evaluation.settings import Values

HELD_OUT: Final = 0.1
FOLD_SEED: Final = 1
"""Of the folds: the same in every evaluation, so that models can be compared."""


@dataclass(frozen=True)
class RunTables:
    """The tables of one run.

    Attributes:
        train: Learned from.
        valid: Chooses the epoch; None where a tenth of train does, by seed.
        test: Judged on.
        label: Column with the label, or those of 0 and 1.
    """

    train: Path
    valid: Path | None
    test: Path
    label: str | list[str]

    def section(self) -> Values:
        """Return the keys of a recipe's ``data`` section."""
        return {
            "train": str(self.train),
            "valid": None if self.valid is None else str(self.valid),
            "test": str(self.test),
            "sequence": "sequence",
            "label": self.label,
            "valid_fraction": HELD_OUT,
        }


def run_tables(prepared: Prepared, plan: Plan, run: Run) -> RunTables:
    """Return the tables of a run; those that are not the task's own are written.

    With folds, one of them is held out of train: it chooses the epoch, or it is the test part of a
    task that has none.

    Args:
        prepared: The task.
        plan: Its protocol and number of folds.
        run: Seed and fold.

    Raises:
        UsageError: As :func:`check_runs`.
    """
    check_runs(prepared, plan)
    own = {split: prepared.path(split) for split in ("train", "valid", "test")}
    changed: dict[str, LabelledSet] = {}
    if run.fold is not None and plan.folds is not None:
        rest, held = _fold(prepared, run.fold, plan.folds)
        changed = {"train": rest, "test" if own["test"] is None else "valid": held}
    chosen_on = plan.protocol.chosen_on
    if chosen_on == "held_out_plain" and own["valid"] is None and "valid" not in changed:
        whole = changed.get("train") or prepared.read("train")
        assert whole is not None
        stay, held_rows = split_holdout(len(whole), HELD_OUT, run.seed)
        changed |= {"train": whole.take(stay), "valid": whole.take(held_rows)}
    places = own | _write(prepared.place / "data" / run.name, changed)
    train, test = places["train"], places["test"]
    assert train is not None
    assert test is not None
    valid = test if chosen_on == "test" else places["valid"]
    return RunTables(train, valid, test, prepared.label)


def check_runs(prepared: Prepared, plan: Plan) -> None:
    """Refuse a task that cannot be judged as planned.

    Raises:
        UsageError: There is no test part and there are no folds, or too few rows for them.
    """
    rows = prepared.facts["rows"]
    if not rows["test"] and plan.folds is None:
        raise UsageError(f"{prepared.planned.task.name}: no test part; judge it with --folds 10")
    known = rows["train"] + rows["valid"]
    if plan.folds is not None and known < 2 * plan.folds:
        raise UsageError(f"--folds {plan.folds}: too many for {known:,} rows")


def forget_tables(prepared: Prepared, run: Run) -> None:
    """Remove the tables that were written for a run."""
    shutil.rmtree(prepared.place / "data" / run.name, ignore_errors=True)


def _write(place: Path, parts: Mapping[str, LabelledSet]) -> dict[str, Path]:
    if parts:
        place.mkdir(exist_ok=True)
    for split, rows in parts.items():
        write_table(place / f"{split}.csv.gz", rows)
    return {split: place / f"{split}.csv.gz" for split in parts}


def _fold(prepared: Prepared, number: int, folds: int) -> tuple[LabelledSet, LabelledSet]:
    """Return the rows outside and inside a fold of train and of the set's own validation part."""
    train, valid = prepared.read("train"), prepared.read("valid")
    assert train is not None
    whole = train if valid is None else join_sets(train.name, [train, valid])
    classes = whole.labels if prepared.facts["kind"] == "classification" else None
    fold_of = assign_folds(len(whole), folds, classes)
    held = [row for row, fold in enumerate(fold_of) if fold == number - 1]
    stay = [row for row, fold in enumerate(fold_of) if fold != number - 1]
    return whole.take(stay), whole.take(held)


def assign_folds(
    count: int, folds: int, classes: Sequence[Hashable] | None = None, seed: int = FOLD_SEED
) -> list[int]:
    """Return the fold (0 to ``folds`` - 1) of each of ``count`` rows.

    Args:
        count: Number of rows.
        folds: Number of folds.
        classes: Of each row (count,), so that every fold has its share of each.
        seed: Of the choice.
    """
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
    if classes is not None:
        order.sort(key=lambda row: str(classes[row]))  # stable: random within a class
    fold_of = [0] * count
    for place, row in enumerate(order):
        fold_of[row] = place % folds
    return fold_of
