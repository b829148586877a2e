"""The epochs of a fine-tuning, each judged on the held-out part."""

from collections.abc import Callable
from dataclasses import replace

from genolm.data.batch import collate
from genolm.training.class_weights import weighted_loss
from genolm.training.epoch_examples import EpochExamples
from genolm.training.finetuning import Finetuning
from genolm.training.kmer_fit import fit_kmers
from genolm.training.loop import Ended, Lines, Loop, never, run_loop
from genolm.training.patience import has_lost_patience
from genolm.training.recipe_finetune import FinetuneTrainSection
from genolm.training.trainer import Pace


def train_session(session: Finetuning, gives_up: Callable[[Lines], bool] = never) -> Ended:
    """Train the model of a session to its last epoch, the end of its patience or of its time.

    Args:
        session: Ready to run, its folder begun.
        gives_up: Whether to stop, given the lines of metrics.jsonl; asked after every epoch.
    """
    recipe, train = session.recipe, session.recipe.train
    fitting = fit_kmers(session)
    per_epoch = session.steps_per_epoch
    loop = Loop(
        run=session.run,
        model=session.model,
        device=session.device,
        train=_spare(train, fitting),
        peak=train.learning_rate,
        pace=Pace(
            steps=train.epochs * per_epoch,
            batch_size=session.batch_size,
            eval_every=per_epoch,
            save_every=per_epoch,
            seed=train.seed,
            workers=recipe.data.workers,
        ),
        length=session.length * session.parts.inputs,
        label="fine-tuning",
        per_base=False,
        steps_per_epoch=per_epoch,
        best_by=train.early_stopping_metric,
        loss=weighted_loss(train.class_weights, session.parts, recipe.label_task),
        layer_decay=train.layer_decay,
        collate=collate,
        is_enough=lambda lines: (
            has_lost_patience(lines, train.early_stopping_metric, train.patience) or gives_up(lines)
        ),
    )
    examples = EpochExamples(
        session.parts.train,
        length=session.length,
        per_epoch=per_epoch * session.batch_size * train.accumulate,
        epochs=train.epochs,
        seed=train.seed,
        rc="augment" if train.rc == "conjoin_eval" else train.rc,
        bucket=session.batch_size if train.bucket else None,
    )
    ended = run_loop(loop, examples, lambda: session.judge(session.parts.valid))
    return replace(ended, seconds=ended.seconds + fitting)


def _spare(train: FinetuneTrainSection, seconds: float) -> FinetuneTrainSection:
    """Take what was spent before the first step off the minutes that a training may take."""
    if train.max_minutes is None:
        return train
    return train.model_copy(update={"max_minutes": max(train.max_minutes - seconds / 60, 0.0)})
