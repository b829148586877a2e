"""The loop: transformers.Trainer, with our order, our evaluation and checkpoints that are whole."""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import SequentialSampler
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback
from transformers.utils import logging as transformers_logging

from genolm.parallel import shard_sequence
from genolm.training.callbacks import Clock
from genolm.training.checkpoints import mark_complete
from genolm.training.guard import Guard
from genolm.training.lost_ranks import is_lost
from genolm.training.ranks import Ranks
from genolm.training.recipe import TrainSection
from genolm.training.run_folder import RunFolder


class Examples(Protocol):
    """A dataset that knows its length: what example number i of a run is."""

    def __len__(self) -> int:
        """Return the number of examples of the whole run."""

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """Return ``input_ids`` and ``labels`` of one example."""

    def names(self, indices: range) -> list[str]:
        """Return what people call these examples."""


Collate = Callable[[list[dict[str, torch.Tensor]]], dict[str, torch.Tensor]]
CountTargets = Callable[[dict[str, torch.Tensor]], torch.Tensor]
LossOf = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Evaluate = Callable[[], dict[str, float | None]]


@dataclass(frozen=True)
class Pace:
    """How long a run is and when it looks, saves and logs.

    Attributes:
        steps: Steps of the optimiser in all.
        batch_size: Examples in a batch of one process.
        eval_every: Steps between evaluations.
        save_every: Steps between checkpoints.
        seed: Of the random numbers of the model (dropout).
        workers: Processes that prepare batches.
    """

    steps: int
    batch_size: int
    eval_every: int
    save_every: int
    seed: int
    workers: int


def training_arguments(
    run: RunFolder, train: TrainSection, pace: Pace, device: torch.device, *, best_by: str | None
) -> TrainingArguments:
    """Return transformers' arguments for a run.

    Args:
        run: Checkpoints go to its folder.
        train: The recipe's section.
        pace: Of the run.
        device: To train on.
        best_by: Validation figure whose best checkpoint is kept ("loss" is better low, any other
            high); None to keep the last ones only.
    """
    # The bars and lines of the library would stand among ours.
    transformers_logging.disable_progress_bar()
    arguments = TrainingArguments(
        output_dir=str(run.checkpoints),
        max_steps=pace.steps,
        per_device_train_batch_size=pace.batch_size,
        gradient_accumulation_steps=train.accumulate,
        max_grad_norm=train.grad_clip,
        logging_strategy="steps",
        logging_steps=train.log_every,
        logging_first_step=True,
        # A step that is left out must not spoil the mean that is logged.
        logging_nan_inf_filter=train.guard == "skip",
        eval_strategy="steps",
        eval_steps=pace.eval_every,
        save_strategy="steps",
        save_steps=pace.save_every,
        save_total_limit=2,
        metric_for_best_model=best_by,
        greater_is_better=None if best_by is None else best_by != "loss",
        seed=pace.seed,
        fp16=train.precision == "fp16",
        use_cpu=device.type == "cpu",
        dataloader_num_workers=pace.workers,
        dataloader_pin_memory=device.type == "cuda",
        remove_unused_columns=False,
        label_names=["labels"],
        report_to="none",
        ddp_find_unused_parameters=False,
        disable_tqdm=True,
        log_level="error",
    )
    if arguments.n_gpu > 1:
        # Otherwise the Trainer would split every batch over all devices it sees.
        arguments._n_gpu = 1
    return arguments


class RunTrainer(Trainer):
    """A Trainer that goes through its examples in order.

    The dataset decides what example number i is, so that step k sees the same examples whether or
    not the run was stopped before it.

    Args:
        model: To train.
        arguments: From :func:`training_arguments`.
        examples: Example i of the run, in order.
        optimizers: The optimiser and its learning rate.
        evaluate_part: Returns the validation figures; None for one that is undefined.
        callbacks: Around each step.
        clock: Does not count evaluations and checkpoints as training.
        guard: Sees the loss of every batch; its state goes into every checkpoint.
        ranks: Processes that share out every batch.
        count_targets: How much of a batch counts in its loss; needed with several processes.
        collate: Joins examples to a batch; None stacks them.
        loss: Of logits and labels; None leaves it to the model.
    """

    def __init__(
        self,
        *,
        model: PreTrainedModel,
        arguments: TrainingArguments,
        examples: Examples,
        optimizers: tuple[AdamW, LambdaLR],
        evaluate_part: Evaluate,
        callbacks: Sequence[TrainerCallback],
        clock: Clock,
        guard: Guard,
        ranks: Ranks,
        count_targets: CountTargets | None = None,
        collate: Collate | None = None,
        loss: LossOf | None = None,
    ) -> None:
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=examples,
            eval_dataset=examples,
            optimizers=optimizers,
            callbacks=list(callbacks),
            data_collator=collate,
        )
        self.remove_callback(PrinterCallback)
        self.examples = examples
        self.evaluate_part = evaluate_part
        self.clock = clock
        self.guard = guard
        self.ranks = ranks
        self.count_targets = count_targets
        self.loss = loss

    def training_step(self, *inputs: Any, **named: Any) -> torch.Tensor:
        """Do one batch, and show the guard its loss."""
        loss: torch.Tensor = super().training_step(*inputs, **named)
        self.guard.see(loss)
        return loss

    def compute_loss(self, *inputs: Any, **named: Any) -> Any:
        """Weigh this process's mean loss so that the mean over processes is that of all targets."""
        if self.loss is not None:
            return self._own_loss(self.loss, *inputs, **named)
        loss = super().compute_loss(*inputs, **named)
        if self.ranks.size == 1:
            return loss
        assert self.count_targets is not None
        batch = inputs[1] if len(inputs) > 1 else named["inputs"]
        ours = self.count_targets(batch)
        return loss * (ours * self.ranks.size / self.ranks.sum(ours).clamp(min=1e-9))

    @staticmethod
    def _own_loss(
        loss: LossOf, model: torch.nn.Module, inputs: dict[str, torch.Tensor], **_: Any
    ) -> torch.Tensor:
        shown = {name: tensor for name, tensor in inputs.items() if name != "labels"}
        return loss(model(**shown).logits, inputs["labels"])

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Count nothing: the library's count takes long each step; ours is of `Watch`."""
        return 0

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        return SequentialSampler(self.examples)

    def evaluate(
        self,
        eval_dataset: Any = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """Return the figures of the whole validation part, and log them as ``valid_...``."""
        with self.clock.pause(), shard_sequence(None):  # on whole windows
            figures = self.evaluate_part()
        logged: dict[str, Any] = {f"valid_{name}": value for name, value in figures.items()}
        self.log(logged)
        # An undefined figure is not a number, which is never better than another.
        ranked = {
            f"{metric_key_prefix}_{name}": math.nan if value is None else value
            for name, value in figures.items()
        }
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, ranked
        )
        return ranked

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        folder = Path(str(self.args.output_dir)) / f"checkpoint-{self.state.global_step}"
        with self.clock.pause(), say_what_could_not_be_written(folder):
            super()._save_checkpoint(model, trial)
            self.ranks.wait()  # each process writes the state of its own random numbers
            if self.ranks.leads:
                self.guard.save(folder)
                mark_complete(folder)
            self.ranks.wait()


@contextlib.contextmanager
def say_what_could_not_be_written(folder: Path) -> Iterator[None]:
    """Turn what safetensors and torch raise on a full disk into an OSError that names it."""
    try:
        yield
    except (SafetensorError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and is_lost(error):
            raise
        reason = str(error).splitlines()[0]
        raise OSError(f"{folder}: could not be written: {reason}") from None
