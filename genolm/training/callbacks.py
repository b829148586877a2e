"""What happens around each step: progress on stderr, lines in metrics.jsonl, and when to stop."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Final, NoReturn

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from genolm import console
from genolm.errors import Terminated
from genolm.training.board import Board
from genolm.training.guard import Guard
from genolm.training.ranks import Ranks
from genolm.training.run_folder import RunFolder
from genolm.training.watch import Watch, tell_machine

ENDINGS: Final[dict[int, type[BaseException]]] = {
    signal.SIGINT: KeyboardInterrupt,
    signal.SIGTERM: Terminated,
}
"""Signals that end a training in order, and how they end it otherwise."""

COUNTS = ("n", "n_targets")
"""Figures that are the same in every validation: written, but not told."""


@dataclass
class Clock:
    """Seconds of a run, over all its restarts, and those of its training steps alone.

    Attributes:
        earlier: Seconds of the processes before this one.
    """

    earlier: float = 0.0
    started: float = field(default_factory=time.monotonic)
    paused: float = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of the run until now."""
        return self.earlier + time.monotonic() - self.started

    @property
    def training_seconds(self) -> float:
        """The same without what :meth:`pause` enclosed; for rates, not for records."""
        return self.seconds - self.paused

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Leave the block (an evaluation, a checkpoint) out of the training seconds."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.paused += time.monotonic() - began


class TrainingMeter(console.Meter):
    """Counts steps, and tells the rate in tokens: that of its note."""

    def _rate_and_note(self) -> str:
        return self.note or "starting"


@dataclass
class StopRequest:
    """The first Ctrl-C or SIGTERM asks for a checkpoint and an end; the second ends at once.

    Attributes:
        by: The signal that asked; None until one does.
    """

    by: int | None = None

    @property
    def asked(self) -> bool:
        """Whether the training is to end."""
        return self.by is not None

    @contextmanager
    def listen(self) -> Iterator[None]:
        """Take the signals during the block (only the main thread of a process may)."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._ask) for number in ENDINGS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def end(self) -> NoReturn:
        """End as the signal that asked would have."""
        assert self.by is not None
        raise ENDINGS[self.by]

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise ENDINGS[number]
        self.by = number
        name = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
        console.say(f"stopping after this step, with a checkpoint; {name} again stops at once")


class RunCallback(TrainerCallback):
    """Progress and metrics.jsonl of one run, and its end by a signal or by the clock.

    Args:
        run: Where metrics.jsonl is.
        clock: Of the run.
        stop: Ctrl-C and SIGTERM.
        meter: Counts steps.
        tokens_per_step: Input positions of one step of the optimiser.
        per_base: Whether the loss is one of bases, also told in bits.
        steps_per_epoch: To tell the epoch; None where epochs mean nothing.
        beside: Stands beside the validation figures on stderr.
        max_minutes: Of the clock; None for no limit.
        is_enough: Whether to stop, given the lines of metrics.jsonl; asked after each validation.
        judge_end: Whether to look at the validation part, too, where the clock ends the training.
        guard: Told which step begins.
        ranks: Processes that must stop at the same step; the first of them writes.
        watch: Tells what the training makes of the machine.
        board: Gets the figures too.
    """

    def __init__(
        self,
        run: RunFolder,
        clock: Clock,
        stop: StopRequest,
        meter: console.Meter,
        *,
        tokens_per_step: int,
        per_base: bool,
        steps_per_epoch: int | None,
        beside: str,
        max_minutes: float | None,
        is_enough: Callable[[list[dict[str, Any]]], bool],
        judge_end: bool,
        guard: Guard,
        ranks: Ranks,
        watch: Watch,
        board: Board | None = None,
    ) -> None:
        self.run, self.clock, self.stop, self.meter = run, clock, stop, meter
        self.tokens_per_step = tokens_per_step
        self.per_base = per_base
        self.max_seconds = math.inf if max_minutes is None else 60 * max_minutes
        self.steps_per_epoch = steps_per_epoch
        self.beside = beside
        self.is_enough = is_enough
        self.judge_end = judge_end
        self.guard = guard
        self.ranks = ranks
        self.watch, self.board = watch, board
        self.note = ""
        self._logged_at = (0, 0.0)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start measuring the rate from here."""
        self._logged_at = (state.global_step, self.clock.training_seconds)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Tell the guard which step begins."""
        self.guard.begin(state.global_step + 1)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Count the step; end the training when asked to."""
        self.guard.end()
        self.meter.advance(1, self.note)
        if self.ranks.any(self.stop.asked):
            self.stop.by = self.stop.by or signal.SIGTERM  # another process was asked
        late = self.ranks.any(self.ranks.leads and self.clock.seconds >= self.max_seconds)
        if late and self.judge_end and not self.stop.asked:
            control.should_evaluate = True
        if self.stop.asked or late:
            control.should_training_stop = control.should_save = True
        # A resumed run must log the same means as one that was never stopped, so that no mean
        # may reach across a checkpoint.
        control.should_log = control.should_log or control.should_save

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float | None] | None = None,
        **kwargs: Any,
    ) -> None:
        """Write a line of metrics.jsonl, and say the figures of a validation.

        Raises:
            ValueError: When the loss is no longer a number.
        """
        if logs is None or "train_runtime" in logs or not self.ranks.leads:
            return
        step = state.global_step
        if "loss" in logs:
            figures = self._training_figures(step, logs)
        else:
            figures = {key: value for key, value in logs.items() if key != "epoch"}
            told = {key.removeprefix("valid_"): value for key, value in figures.items()}
            console.say(f"{self._place(step)}: valid {tell(told)}{self.beside}")
        where: dict[str, float] = {"step": step}
        if self.steps_per_epoch is not None:
            where["epoch"] = round(step / self.steps_per_epoch, 4)
        if self.board is not None:
            self.board.write(step, figures)
        self.run.append_line(where | figures | {"seconds": round(self.clock.seconds, 3)})

    def _place(self, step: int) -> str:
        if self.steps_per_epoch is None:
            return f"step {step}"
        return f"epoch {step / self.steps_per_epoch:.4g}"

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """End the training when the validations so far say so."""
        if self.is_enough(self.run.read_lines()):
            control.should_training_stop = True

    def _training_figures(
        self, step: int, logs: dict[str, float | None]
    ) -> dict[str, float | None]:
        loss = logs["loss"]
        if loss is None or not math.isfinite(loss):
            raise ValueError(
                f"the loss is no longer a number at step {step}: lower train.learning_rate"
            )
        steps, seconds = self._logged_at
        self._logged_at = (step, self.clock.training_seconds)
        took = max(self._logged_at[1] - seconds, 1e-9)
        rate = (step - steps) * self.tokens_per_step / took
        machine = self.watch.figures(steps + 1, step, took)
        figures: dict[str, float | None] = {"loss": loss}
        self.note = f"loss {loss:.3f}"
        if self.per_base:
            figures["bits_per_base"] = loss / math.log(2)
            self.note += f", {figures['bits_per_base']:.3f} bits/base"
        self.note += f", {rate:,.0f} tokens/s{tell_machine(machine)}"
        return figures | {
            "learning_rate": logs["learning_rate"],
            "grad_norm": _number(logs.get("grad_norm")),
            "tokens_per_second": round(rate, 1),
            **machine,
        }


def _number(value: float | None) -> float | None:
    """Return a number; None for one that is none, such as a norm that overflows float16."""
    return None if value is None or not math.isfinite(value) else value


def tell(figures: Mapping[str, float | None]) -> str:
    """Return figures as words: ``loss 1.3340, bits per base 1.9246``."""
    return ", ".join(
        f"{name.replace('_', ' ')} {'undefined' if value is None else format(value, '.4f')}"
        for name, value in figures.items()
        if name not in COUNTS
    )
