"""One training from its last checkpoint, or its beginning, to its end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model
from torch import nn
from transformers import PreTrainedModel, TrainerCallback

from genolm import console
from genolm.parallel import shard_sequence
from genolm.training.board import open_board
from genolm.training.callbacks import Clock, RunCallback, StopRequest, TrainingMeter
from genolm.training.checkpoints import checkpoint_step
from genolm.training.guard import Guard
from genolm.training.machine import set_precision
from genolm.training.optimizer import learning_rate, make_optimizer
from genolm.training.peak import peak_flops
from genolm.training.ranks import Ranks
from genolm.training.recipe import TrainSection
from genolm.training.run_folder import RunFolder
from genolm.training.trainer import (
    Collate,
    CountTargets,
    Evaluate,
    Examples,
    LossOf,
    Pace,
    RunTrainer,
    training_arguments,
)
from genolm.training.watch import FlopsOfStep, Watch
from genolm.training.weight_shards import ShardingTrainer, shard_weights

Lines = Sequence[Mapping[str, Any]]


def never(lines: Lines) -> bool:
    """Go on to the last step, whatever metrics.jsonl says."""
    return False


@dataclass(frozen=True)
class Loop:
    """A training.

    Attributes:
        run: Its folder.
        model: To be trained, in place.
        device: To train on.
        train: The recipe's section, with nothing left open.
        peak: Its learning rate.
        pace: How long it is and when it looks and saves.
        length: Positions of an example.
        label: What the progress is called.
        per_base: Whether the loss is one of bases, also told in bits.
        steps_per_epoch: To tell the epoch; None where epochs mean nothing.
        beside: Stands beside every validation figure on stderr.
        best_by: Validation figure whose best checkpoint is kept, that where the clock ends the
            training among them; None keeps the last ones.
        is_enough: Whether to stop, given the lines of metrics.jsonl; asked after each validation.
        collate: Joins examples to a batch; None stacks them.
        ranks: Processes that share out every batch.
        count_targets: How much of a batch counts in its loss; needed with several processes.
        loss: Of logits and labels; None leaves it to the model.
        layer_decay: Factor of the learning rate from each layer to the one below it.
        flops_of_step: Number of a step to the model's operations in it; None tells no utilisation.
        shards: Whether every process keeps its share of the weights only.
    """

    run: RunFolder
    model: PreTrainedModel
    device: torch.device
    train: TrainSection
    peak: float
    pace: Pace
    length: int
    label: str
    per_base: bool = True
    steps_per_epoch: int | None = None
    beside: str = ""
    best_by: str | None = None
    is_enough: Callable[[Lines], bool] = field(default=never)
    collate: Collate | None = None
    ranks: Ranks = field(default_factory=Ranks)
    count_targets: CountTargets | None = None
    loss: LossOf | None = None
    layer_decay: float = 1.0
    flops_of_step: FlopsOfStep | None = None
    shards: bool = False

    def watch(self) -> Watch:
        """Return what tells the figures of the machine."""
        if self.flops_of_step is None or not self.ranks.leads:
            return Watch(self.device)
        peak = peak_flops(self.device, self.train.precision)
        return Watch(self.device, self.flops_of_step, peak and peak * self.ranks.size)


@dataclass(frozen=True)
class Ended:
    """Where a training ended.

    Attributes:
        step: Steps done, over all restarts.
        seconds: Seconds they took, evaluations included.
    """

    step: int
    seconds: float


def run_loop(loop: Loop, examples: Examples, evaluate_part: Evaluate) -> Ended:
    """Train until the last step, the limit of minutes, ``is_enough``, Ctrl-C or SIGTERM.

    Args:
        loop: The training.
        examples: Example i of the run, in order.
        evaluate_part: Returns the validation figures of the model as it is.

    Returns:
        Where it ended; ``loop.model`` has the weights of that step.

    Raises:
        KeyboardInterrupt: After Ctrl-C, when a checkpoint of the present step has been written.
        Terminated: After SIGTERM, likewise.
    """
    nn.Module.to(loop.model, loop.device)
    set_precision(loop.model, loop.train.precision)
    leads = loop.ranks.leads
    checkpoint = loop.ranks.share(loop.run.latest_checkpoint() if leads else None)
    step = 0 if checkpoint is None else checkpoint_step(checkpoint)
    if leads:
        loop.run.forget_lines_after(step if checkpoint is not None else -1)
    loop.ranks.wait()
    lines = loop.run.read_lines()
    clock = Clock(earlier=lines[-1]["seconds"] if lines else 0.0)
    if checkpoint is not None:
        console.say(f"resuming at step {step}")
        if _nothing_is_left(loop, step, lines):
            load_weights(loop.model, checkpoint)
            return Ended(step, clock.earlier)
    return _go_on(loop, examples, evaluate_part, clock, checkpoint)


def load_weights(model: PreTrainedModel, folder: Path) -> None:
    """Put the weights of a checkpoint into ``model``."""
    load_model(model, folder / "model.safetensors")


def _nothing_is_left(loop: Loop, step: int, lines: Lines) -> bool:
    minutes = loop.train.max_minutes
    over = minutes is not None and bool(lines) and lines[-1]["seconds"] >= 60 * minutes
    return step >= loop.pace.steps or over or loop.is_enough(lines)


def _go_on(
    loop: Loop,
    examples: Examples,
    evaluate_part: Evaluate,
    clock: Clock,
    checkpoint: Path | None,
) -> Ended:
    train, pace, kind = loop.train, loop.pace, RunTrainer
    if loop.shards:
        if checkpoint is not None:
            load_weights(loop.model, checkpoint)
        shard_weights(loop.model, loop.device, loop.ranks)
        kind = ShardingTrainer
    rate = learning_rate(train, loop.peak, pace.steps)
    assert train.betas is not None
    optimizer = make_optimizer(
        loop.model,
        loop.model.config.model_type,
        rate=rate.peak,
        weight_decay=train.weight_decay,
        betas=train.betas,
        layer_decay=loop.layer_decay,
    )
    samples = pace.batch_size * loop.ranks.shares * train.accumulate
    guard = Guard(loop.run, train.guard, train.spike, samples, examples.names, loop.ranks)
    if checkpoint is not None:
        guard.load(checkpoint)
    optimizer.guard = guard
    stop = StopRequest()
    meter = TrainingMeter(loop.label, "steps", pace.steps)
    meter.done = 0 if checkpoint is None else checkpoint_step(checkpoint)
    meter.started -= clock.earlier
    wanted = train.tensorboard and loop.ranks.leads
    with open_board(loop.run, meter.done, wanted=wanted) as board, meter, stop.listen():
        callback = RunCallback(
            loop.run,
            clock,
            stop,
            meter,
            tokens_per_step=samples * loop.length,
            per_base=loop.per_base,
            steps_per_epoch=loop.steps_per_epoch,
            beside=loop.beside,
            max_minutes=train.max_minutes,
            is_enough=loop.is_enough,
            judge_end=loop.best_by is not None,
            guard=guard,
            ranks=loop.ranks,
            watch=loop.watch(),
            board=board,
        )
        callbacks: list[TrainerCallback] = [callback]
        trainer = kind(
            model=loop.model,
            arguments=training_arguments(loop.run, train, pace, loop.device, best_by=loop.best_by),
            examples=examples,
            optimizers=(optimizer, rate.drive(optimizer)),
            evaluate_part=evaluate_part,
            callbacks=callbacks,
            clock=clock,
            guard=guard,
            collate=loop.collate,
            ranks=loop.ranks,
            count_targets=loop.count_targets,
            loss=loop.loss,
        )
        with shard_sequence(loop.ranks.sequence):
            trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    if stop.asked:
        console.say(
            f"stopped at step {trainer.state.global_step}; the same command goes on from there"
        )
        stop.end()
    return Ended(trainer.state.global_step, clock.seconds)
