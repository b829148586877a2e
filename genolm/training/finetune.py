"""Fine-tuning: labelled sequences and a recipe to a classifier or regressor.

A part of train is held out by seed; after every epoch the model is judged on it, and the epoch
that did best there is kept. The test part is judged once, at the end, by that model.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizer

from genolm import console
from genolm.data.labels import LabelSpace
from genolm.training.judge import (
    Figures,
    interval_rows,
    judge,
    judge_baselines,
    judge_certainty,
    predict_logits,
    write_predictions,
)
from genolm.training.labelled_parts import EpochExamples, read_parts
from genolm.training.loop import Ended, Lines, Loop, load_weights, run_loop
from genolm.training.machine import (
    choose_device,
    choose_precision,
    describe,
    kernel_backend,
    set_threads,
)
from genolm.training.model_source import classifier
from genolm.training.optimizer import FINE_TUNING
from genolm.training.parts import Part, Parts
from genolm.training.publish import publish, say_table
from genolm.training.ranks import refuse_ranks
from genolm.training.recipe_finetune import FinetuneRecipe
from genolm.training.run_folder import RunFolder
from genolm.training.trainer import Pace


@dataclass(frozen=True)
class Finetuning:
    """Everything a run needs, once the recipe has been acted on.

    Attributes:
        recipe: With nothing left open.
        run: Its folder.
        parts: The labelled set.
        model: To be trained.
        tokenizer: Published beside it.
        device: To train on.
    """

    recipe: FinetuneRecipe
    run: RunFolder
    parts: Parts
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizer
    device: torch.device

    @property
    def space(self) -> LabelSpace:
        """What labels can be."""
        return self.parts.space

    @property
    def length(self) -> int:
        """Tokens of every input."""
        assert self.recipe.data.length is not None
        return self.recipe.data.length

    @property
    def batch_size(self) -> int:
        """Rows of a batch: never more than there are."""
        return min(self.recipe.train.batch_size, len(self.parts.train.rows))

    @property
    def steps_per_epoch(self) -> int:
        """Full steps that the train part fills."""
        rows = len(self.parts.train.rows)
        return max(1, rows // (self.batch_size * self.recipe.train.accumulate))

    def judge(self, part: Part) -> Figures:
        """Return the figures of the model as it is, on a whole part."""
        return judge(self.predict(part), part.targets, self.recipe.task)

    def predict(self, part: Part) -> Any:
        """Return the logits (rows, labels) of a part."""
        examples = part.examples(self.length, conjoin=self.recipe.train.rc == "conjoin")
        return predict_logits(self.model, examples, batch_size=self.batch_size, device=self.device)


def finetune(
    recipe: FinetuneRecipe,
    *,
    restart: bool = False,
    device: str = "auto",
    with_baselines: bool = True,
) -> Path:
    """Train a classifier or regressor, or go on with a training that was stopped.

    Args:
        recipe: What to do.
        restart: Throw away what an earlier run left in the output folder.
        device: "auto", "cpu" or "cuda".
        with_baselines: Whether k-mers and the length are judged too.

    Returns:
        The folder of the finished model.

    Raises:
        UsageError: When the recipe, its files or the output folder do not fit.
        InputError: When the labelled sequences are not what they should be.
        OSError: When something could not be written.
        KeyboardInterrupt: On Ctrl-C; the same call goes on from the last checkpoint.
        Terminated: On SIGTERM; likewise.
    """
    refuse_ranks("genolm finetune")
    with _prepare(recipe, device) as session:
        run = session.run
        facts = describe(session.device) | {"data": session.parts.digests()}
        with run.hold():
            run.begin(session.recipe, facts, restart=restart)
            if run.is_done():
                console.say(f"{run.path} is done; its model is {run.model} (--restart begins anew)")
                return run.model
            _say_what_is_trained(session)
            _finish(session, _train(session), with_baselines)
        return run.model


@contextmanager
def _prepare(recipe: FinetuneRecipe, device: str) -> Iterator[Finetuning]:
    """Read the labelled sequences and build the model; nothing is written."""
    place = choose_device(device)
    set_threads(recipe.train.threads)
    parts = read_parts(recipe.data, recipe.task, recipe.train.seed)
    longest = max(len(sequence) for sequence in parts.train.rows.sequences)
    model, tokenizer, length = classifier(recipe, parts.space, longest)
    train = recipe.train
    filled = FINE_TUNING.complete(train, train.learning_rate)
    filled["precision"] = choose_precision(train.precision, place)
    complete = recipe.model_copy(
        update={
            "data": recipe.data.model_copy(update={"length": length}),
            "train": train.model_copy(update=filled),
        }
    )
    with kernel_backend(train.backend):
        yield Finetuning(complete, RunFolder(complete.output), parts, model, tokenizer, place)


def _say_what_is_trained(session: Finetuning) -> None:
    recipe, parts = session.recipe, session.parts
    rows = ", ".join(
        f"{len(part.rows):,} {name}"
        for name, part in (("train", parts.train), ("valid", parts.valid), ("test", parts.test))
    )
    trained = sum(p.numel() for p in session.model.parameters() if p.requires_grad)
    console.say(
        f"fine-tuning {trained:,} parameters ({recipe.task}, {recipe.train.precision} linear "
        f"layers, {session.device.type}) on {parts.describe(session.length)}: {rows}"
    )
    if session.space.names:
        console.say(f"classes: {', '.join(session.space.names)}")
    for warning in parts.warnings(session.length):
        console.warn(warning)


def _train(session: Finetuning) -> Ended:
    recipe, train = session.recipe, session.recipe.train
    per_epoch = session.steps_per_epoch
    loop = Loop(
        run=session.run,
        model=session.model,
        device=session.device,
        train=train,
        peak=train.learning_rate,
        pace=Pace(
            steps=train.epochs * per_epoch,
            batch_size=session.batch_size,
            eval_every=per_epoch,
            save_every=per_epoch,
            seed=train.seed,
            workers=recipe.data.workers,
        ),
        length=session.length,
        label="fine-tuning",
        per_base=False,
        steps_per_epoch=per_epoch,
        best_by=train.early_stopping_metric,
        is_enough=lambda lines: has_lost_patience(
            lines, train.early_stopping_metric, train.patience
        ),
    )
    examples = EpochExamples(
        session.parts.train,
        length=session.length,
        per_epoch=per_epoch * session.batch_size * train.accumulate,
        epochs=train.epochs,
        seed=train.seed,
        rc=train.rc,
    )
    return run_loop(loop, examples, lambda: session.judge(session.parts.valid))


def best_line(lines: Lines, metric: str) -> Mapping[str, Any] | None:
    """Return the first line of metrics.jsonl with the best validation; None before any.

    Args:
        lines: Of metrics.jsonl.
        metric: "loss" (lowest is best) or another figure (highest is best); where it is undefined,
            a line does not count.
    """
    name = f"valid_{metric}"
    judged = [line for line in lines if line.get(name) is not None]
    sign = -1.0 if metric == "loss" else 1.0
    return max(judged, key=lambda line: sign * float(line[name]), default=None)


def has_lost_patience(lines: Lines, metric: str, patience: int | None) -> bool:
    """Tell whether the last ``patience`` validations were no better than one before them."""
    steps = [line["step"] for line in lines if f"valid_{metric}" in line]
    best = best_line(lines, metric)
    if patience is None or best is None:
        return False
    return len(steps) - 1 - steps.index(best["step"]) >= patience


def _finish(session: Finetuning, ended: Ended, with_baselines: bool) -> None:
    """Take the best epoch, judge it on the test part once, publish it and say how it did."""
    recipe, parts, run = session.recipe, session.parts, session.run
    best = best_line(run.read_lines(), recipe.train.early_stopping_metric)
    # A run that max_minutes ended within its first epoch has no best one: it keeps what it has.
    step = ended.step if best is None else best["step"]
    if best is not None:
        load_weights(session.model, run.checkpoints / f"checkpoint-{step}")
    valid = session.judge(parts.valid)
    logits = session.predict(parts.test)
    test = judge(logits, parts.test.targets, recipe.task)
    scores = parts.baseline_scores(recipe.task, recipe.train.seed) if with_baselines else {}
    baselines = judge_baselines(parts, recipe.task, recipe.train.seed, scores)
    certainty = judge_certainty(logits, scores, parts.test.targets, recipe.task)
    metrics = {
        "test": test,
        **certainty,
        "valid": valid,
        "baselines": baselines,
        "classes": list(session.space.names),
        "duplicates": parts.duplicates(),
        "task": recipe.task,
        "parameters": sum(parameter.numel() for parameter in session.model.parameters()),
        "best_epoch": round(step / session.steps_per_epoch, 4),
        "epochs": round(ended.step / session.steps_per_epoch, 4),
        "seconds": round(ended.seconds, 3),
    }
    write_predictions(
        run.path / "test_predictions.tsv", parts.test, logits, recipe.task, session.space.names
    )
    session.model.config.training_length = session.length
    publish(run, session.model, session.tokenizer, metrics)
    _say_result(session, {"model": test, **interval_rows(certainty), **baselines}, ended)


def _say_result(session: Finetuning, rows: Mapping[str, Figures], ended: Ended) -> None:
    names: Sequence[str] = [name for name in rows["model"] if name not in ("n", "loss")]
    table = {row: [figures.get(name) for name in names] for row, figures in rows.items()}
    say_table(f"test ({rows['model']['n']})", names, table)
    seconds = console.format_seconds(ended.seconds)
    epochs = ended.step / session.steps_per_epoch
    console.say(f"{epochs:.4g} epochs in {seconds}; {session.run.model}")
