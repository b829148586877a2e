"""``train.rc: auto``: how the two strands are read is chosen on the held-out part, not assumed.

Some labels do not depend on the strand (an enhancer), and reading both strands helps; others do (a
promoter's direction), and it harms. Each candidate is trained from the same weights on the same
rows for the same share of the epochs and minutes (``train.rc_share``), with the schedule of the
learning rate over these epochs, and judged on the held-out part by the early stopping metric.
The training proper then begins anew with the best; at a tie, with the first of them. The test part
is not looked at. Candidates are runs of their own in ``rc_candidates/`` of the run folder, so that
a fine-tuning that was stopped within one goes on within it.
"""

import math
import shutil
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from genolm import console
from genolm.training.checkpoints import read_json, write_json
from genolm.training.finetune_loop import train_session
from genolm.training.finetuning import Finetuning, rebuild
from genolm.training.judge import Figures
from genolm.training.patience import worth
from genolm.training.recipe_methods import MethodKeys
from genolm.training.recipe_variants import VARIANT_EFFECT
from genolm.training.run_folder import RunFolder

FOLDER: Final = "rc_candidates"
CHOICE: Final = "choice.json"

Changes = dict[str, Any]

ONE_STRAND: Final[dict[str, Changes]] = {
    name: {"rc": name} for name in ("none", "augment", "conjoin")
}
EQUIVARIANT: Final[dict[str, Changes]] = {
    name: {"rc": "none", "head": name} for name in ("invariant", "oriented")
}
"""Candidates of models that read one strand, and of those that read both, by name."""


def candidates(session: Finetuning) -> dict[str, Changes]:
    """Return by name what each candidate changes in the recipe's section; one leaves no choice."""
    train = session.recipe.train
    if train.rc != "auto":
        return {}
    if not session.model.config.rcps:
        return ONE_STRAND
    if session.recipe.task == VARIANT_EFFECT:
        return {"none": {"rc": "none"}}
    return {name: v for name, v in EQUIVARIANT.items() if train.head in (None, name)}


def choose_strands(session: Finetuning) -> Finetuning:
    """Return the session that reads the strands as the best candidate does; as given without any.

    Raises:
        UsageError: When the model cannot be what a candidate needs.
    """
    found = candidates(session)
    if not found:
        return session
    if len(found) == 1:
        return _with(session, session.run, *found.values())
    file = session.run.path / FOLDER / CHOICE
    if not file.is_file():
        metric = session.recipe.train.early_stopping_metric
        figures = {name: _try(session, name, changes) for name, changes in found.items()}
        chosen = best_candidate(figures, metric)
        write_json(file, {"chosen": chosen, "by": metric, "candidates": figures})
        _say_choice(figures, chosen, metric)
    changes = found[read_json(file)["chosen"]]
    if (minutes := session.recipe.train.max_minutes) is not None:
        left = 1 - session.recipe.train.rc_share * len(found)
        changes = changes | {"max_minutes": minutes * left}
    return _with(session, session.run, changes)


def describe_choice(run: RunFolder) -> dict[str, Any]:
    """Return the entry of metrics.json; empty where nothing was chosen."""
    file = run.path / FOLDER / CHOICE
    return {"rc": read_json(file)} if file.is_file() else {}


def best_candidate(figures: Mapping[str, Figures], metric: str) -> str:
    """Return the name of the best candidate, the first of equals; undefined figures are worst.

    Args:
        figures: Of the held-out part, by name.
        metric: "loss" (lowest is best) or another figure (highest is best).
    """
    return max(figures, key=lambda name: worth(figures[name][metric], metric))


def _try(session: Finetuning, name: str, changes: Changes) -> Figures:
    """Train one candidate, unless that is done, and return its validation figures."""
    run = RunFolder(session.run.path / FOLDER / name)
    if run.metrics.is_file():
        return dict(read_json(run.metrics)["valid"])
    console.say(f"train.rc: trying {name}")
    run.checkpoints.mkdir(parents=True, exist_ok=True)
    train = session.recipe.train
    trial = _with(session, run, changes | _budget(train, train.epochs))
    ended = train_session(trial)
    figures = trial.judge(trial.parts.valid)
    write_json(run.metrics, {"valid": figures, "steps": ended.step, "seconds": ended.seconds})
    shutil.rmtree(run.checkpoints)
    return figures


def _budget(train: MethodKeys, epochs: int) -> Changes:
    minutes = train.max_minutes
    return {
        "epochs": max(1, math.floor(train.rc_share * epochs)),
        "max_minutes": None if minutes is None else train.rc_share * minutes,
        "patience": None,
    }


def _with(session: Finetuning, run: RunFolder, changes: Changes) -> Finetuning:
    """Return a session with a fresh model and other values in the recipe's train section."""
    train = session.recipe.train.model_copy(update=changes)
    recipe = session.recipe.model_copy(update={"train": train})
    return replace(session, recipe=recipe, run=run, model=rebuild(recipe, session.parts))


def _say_choice(figures: Mapping[str, Figures], chosen: str, metric: str) -> None:
    told = ", ".join(
        f"{name} {'undefined' if one[metric] is None else format(one[metric], '.4f')}"
        for name, one in figures.items()
    )
    console.say(f"train.rc: {chosen}, by the held-out {metric}: {told}")
