"""Language modelling on a task's own train sequences, before their labels are looked at.

Amos et al. 2023 (arXiv 2310.02980): a model that first learns to guess the bases of its train set
often needs no other pretraining. It is a run of its own in ``self_pretraining/`` of the run folder,
with checkpoints, ``metrics.jsonl`` and a model; a fine-tuning that was stopped within it goes on
within it. Only rows that are trained on are shown, never those of the validation and test parts.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizer

from genolm import console
from genolm.data.labelled_set import LabelledSet
from genolm.data.masking import EvaluationMasking, Masking, hide_targets, sparse_evaluation_mask
from genolm.data.sequence_language import SequenceLanguageDataset, hide_next, padded_ids
from genolm.errors import UsageError
from genolm.objectives import Objective
from genolm.training.checkpoints import read_json
from genolm.training.finetuning import Finetuning, rebuild
from genolm.training.held_out import EVALUATION_SEED, HeldOut, language_figures
from genolm.training.loop import Ended, Loop, run_loop
from genolm.training.machine import set_checkpointing
from genolm.training.model_source import HEAD_OPTIONS, language_backbone
from genolm.training.optimizer import PRETRAINING
from genolm.training.parts import Part
from genolm.training.publish import publish
from genolm.training.recipe import ModelSection
from genolm.training.recipe_masking import MaskingSection
from genolm.training.recipe_methods import SelfPretrainSection
from genolm.training.recipe_pretrain import PretrainTrainSection
from genolm.training.run_folder import RunFolder
from genolm.training.trainer import Pace

FOLDER: Final = "self_pretraining"
EPOCHS: Final = 10
"""Passes over the train part, where the recipe leaves them open."""
MOST_LOOKS: Final = 20
MOST_LOOKED_AT: Final = 512
"""Validation rows of a look."""


@dataclass(frozen=True)
class _Plan:
    """What is to be done: the recipe's section with nothing left open.

    Attributes:
        objective: What is guessed.
        train: Of the language model.
        per_epoch: Steps that show every row once.
        length: Tokens of a row.
    """

    objective: Objective
    train: PretrainTrainSection
    per_epoch: int
    length: int

    @property
    def pause(self) -> int:
        """Steps between looks, which checkpoints follow: an epoch, or more of short ones."""
        return max(self.per_epoch, self.train.steps // MOST_LOOKS)

    @property
    def bases(self) -> int:
        """Positions shown in all."""
        return self.train.steps * self.train.batch_size * self.length


def pretrain_on_own_sequences(session: Finetuning) -> Finetuning:
    """Return the session with a backbone that has learned to guess its train sequences.

    Raises:
        UsageError: When the recipe's section does not fit the model or the rows.
    """
    section = session.recipe.train.self_pretrain
    if section is None:
        return session
    run = RunFolder(session.run.path / FOLDER)
    if not run.is_done():
        plan = _plan(session, section)
        model, tokenizer = language_backbone(session.recipe, plan.objective, plan.length)
        set_checkpointing(model, session.recipe.train.checkpointing)
        console.say(
            f"self-pretraining ({plan.objective}) for {plan.train.steps:,} steps on the "
            f"{len(session.parts.train.rows):,} train sequences; labels are not looked at"
        )
        _finish(session, run, plan, model, tokenizer, _train(session, run, plan, model))
    kept = {name: v for name, v in session.recipe.model.options.items() if name in HEAD_OPTIONS}
    source = ModelSection.model_validate({"path": run.model, **kept})
    begun = session.recipe.model_copy(update={"model": source})
    return replace(session, recipe=begun, model=rebuild(begun, session.parts))


def describe_self_pretraining(session: Finetuning) -> dict[str, Any]:
    """Return the entry of metrics.json; empty where nothing was pretrained."""
    if session.recipe.train.self_pretrain is None:
        return {}
    return {FOLDER: read_json(session.run.path / FOLDER / "metrics.json")}


def _plan(session: Finetuning, section: SelfPretrainSection) -> _Plan:
    train = session.recipe.train
    objective = section.objective or ("causal_lm" if session.model.config.causal else "masked_lm")
    rows = len(session.parts.train.rows)
    batch_size = min(section.batch_size or session.batch_size, rows)
    per_epoch = max(1, rows // batch_size)
    shared = ("weight_decay", "grad_clip", "guard", "spike", "precision", "threads", "backend")
    values = {name: getattr(train, name) for name in (*shared, "log_every", "seed")}
    open_one = PretrainTrainSection(
        **values,
        steps=section.steps or per_epoch * (section.epochs or EPOCHS),
        batch_size=batch_size,
        learning_rate=section.learning_rate,
        max_minutes=section.minutes,
    )
    paper = PRETRAINING[session.model.config.model_type]
    complete = open_one.model_copy(update=paper.complete(open_one, section.learning_rate))
    return _Plan(objective, complete, per_epoch, session.length)


def _sequences(part: Part) -> list[str]:
    if not isinstance(part.rows, LabelledSet):
        raise UsageError("train.self_pretrain: only labelled sequences can be pretrained on")
    return part.rows.sequences


def _train(session: Finetuning, run: RunFolder, plan: _Plan, model: PreTrainedModel) -> Ended:
    run.checkpoints.mkdir(parents=True, exist_ok=True)
    assert plan.train.learning_rate is not None
    loop = Loop(
        run=run,
        model=model,
        device=session.device,
        train=plan.train,
        peak=plan.train.learning_rate,
        pace=Pace(
            steps=plan.train.steps,
            batch_size=plan.train.batch_size,
            eval_every=plan.pause,
            save_every=plan.pause,
            seed=plan.train.seed,
            workers=session.recipe.data.workers,
        ),
        length=plan.length,
        label=FOLDER.replace("_", "-"),
        steps_per_epoch=plan.per_epoch,
    )
    return run_loop(loop, _examples(session, plan), partial(_look, session, plan, model))


def _examples(session: Finetuning, plan: _Plan) -> SequenceLanguageDataset:
    section, recipe = session.recipe.train.self_pretrain, session.recipe
    assert section is not None
    both = section.rc_augment
    if both is None:
        both = recipe.train.rc != "none" and not session.model.config.rcps
    masking = Masking(**MaskingSection().complete(plan.bases).model_dump())
    return SequenceLanguageDataset(
        _sequences(session.parts.train),
        plan.objective,
        length=plan.length,
        seed=plan.train.seed,
        samples=plan.train.steps * plan.train.batch_size,
        rc_augment=both,
        masking=masking if plan.objective == "masked_lm" else None,
    )


def _look(session: Finetuning, plan: _Plan, model: PreTrainedModel) -> dict[str, float | None]:
    """Judge the language model on rows of the validation part."""
    sequences = _sequences(session.parts.valid)
    places = np.unique(np.linspace(0, len(sequences) - 1, MOST_LOOKED_AT).astype(np.int64))
    held = hold_out([sequences[i] for i in places], plan.length, plan.objective)
    return language_figures(model, held, batch_size=plan.train.batch_size, device=session.device)


def hold_out(sequences: list[str], length: int, objective: Objective) -> HeldOut:
    """Return sequences with fixed targets: one base in 32 for masked models, or all but the first.

    Args:
        sequences: Bases.
        length: Tokens of a row.
        objective: What is guessed.
    """
    ids = padded_ids(sequences, length)
    if objective == "causal_lm":
        return HeldOut(ids, hide_next(ids).astype(np.int16), masked=False)
    rows = np.arange(len(ids))
    for one_in in (EvaluationMasking().one_in, 4, 1):  # a few short sequences need denser targets
        chosen = sparse_evaluation_mask(length, EVALUATION_SEED, rows, one_in)
        inputs, labels = hide_targets(ids, chosen)
        if (inputs != ids).any():
            break
    return HeldOut(inputs, labels.astype(np.int16), masked=True)


def _finish(
    session: Finetuning,
    run: RunFolder,
    plan: _Plan,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizer,
    ended: Ended,
) -> None:
    model.config.objective = plan.objective
    model.config.training_length = plan.length
    metrics = {
        "objective": plan.objective,
        "sequences": len(session.parts.train.rows),
        "steps": ended.step,
        "epochs": round(ended.step / plan.per_epoch, 4),
        "tokens": ended.step * plan.train.batch_size * plan.length,
        "learning_rate": plan.train.learning_rate,
        "seconds": round(ended.seconds, 3),
        "valid": _look(session, plan, model),
    }
    publish(run, model, tokenizer, metrics)
