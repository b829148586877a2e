"""A watch over every step: losses and gradients that are no numbers, losses beyond proportion.

One bad step can undo a week. The guard looks at the loss of each step before the optimiser moves
the weights, and either ends the run there, with the last checkpoint intact, or leaves the step out
and goes on. Which windows it was stands in ``skipped.jsonl`` in both cases. What the guard knows of
the losses so far is part of every checkpoint, so that a resumed run decides alike.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.optim import AdamW

from genolm.console import warn
from genolm.training.checkpoints import read_json, write_json
from genolm.training.json_lines import append_json_line
from genolm.training.ranks import Ranks
from genolm.training.run_folder import RunFolder

Action = Literal["stop", "skip"]

REMEMBERED: Final = 100
"""Steps whose losses say what is usual."""
FEWEST: Final = 20
"""Steps before a loss can be a spike."""
MOST_IN_A_ROW: Final = 20
"""Steps left out one after another, after which skipping is no way out."""
OVERFLOW: Final = "the gradients overflow float16 however they are scaled"
STATE: Final = "guard.json"


@dataclass
class Guard:
    """What is done about steps that would harm the weights.

    Attributes:
        run: Its ``skipped.jsonl`` gets a line for each such step.
        action: "stop" ends the run there; "skip" leaves the step out.
        spike: Standard deviations above the mean of the last 100 losses that are too many; None
            lets every loss through that is a number.
        samples: Samples of one step of the optimiser.
        name_samples: Names of samples by their numbers, such as the windows they show.
        ranks: Processes that must decide alike.
        losses: The last losses that were let through.
        in_a_row: Steps left out since then.
        overflows: Steps since then that a gradient scaler left out, to try again with less.
        skipped: Steps left out in all.
    """

    run: RunFolder
    action: Action
    spike: float | None
    samples: int
    name_samples: Callable[[range], list[str]]
    ranks: Ranks = field(default_factory=Ranks)
    losses: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    in_a_row: int = 0
    overflows: int = 0
    skipped: int = 0
    _step: int = 0
    _judged: bool = False
    _parts: list[Tensor] = field(default_factory=list)

    def begin(self, step: int) -> None:
        """Begin the step of this number, counted from 1."""
        self._step = step
        self._judged = False
        self._parts = []

    def see(self, loss: Tensor) -> None:
        """Take the loss of one of the step's batches, already divided by their number."""
        self._parts.append(loss.detach())

    def lets_through(self, optimizer: torch.optim.Optimizer) -> bool:
        """Judge the step; the gradients are there and the weights have not moved.

        Raises:
            ValueError: The run is to end here.
        """
        self._judged = True
        if not self._parts:  # not driven by the trainer
            return True
        loss = self._loss()
        reason = self._find_fault(loss, optimizer)
        if reason is None:
            self.losses.append(loss)
            self.in_a_row = self.overflows = 0
            return True
        self._leave_out(loss, reason)
        return False

    def end(self) -> None:
        """End the step: one that a gradient scaler left out is judged by its loss alone.

        Gradients that overflow at the present scale are the scaler's business, as long as it finds
        a smaller one; a loss that is no number does so at every scale.

        Raises:
            ValueError: The run is to end here.
        """
        if self._judged or not self._parts:
            return
        loss = self._loss()
        if not math.isfinite(loss):
            self._leave_out(loss, "the loss is no longer a number")
            return
        self.overflows += 1
        if self.overflows >= MOST_IN_A_ROW:
            raise ValueError(
                f"{OVERFLOW}: {self.overflows} steps in a row at step {self._step};"
                " set train.precision to bf16 or float32"
            )

    def _loss(self) -> float:
        return float(self.ranks.sum(torch.stack(self._parts).sum())) / self.ranks.size

    def _leave_out(self, loss: float, reason: str) -> None:
        """Write a step down and count it, or end the run."""
        if self.ranks.leads:
            self._write_down(loss, reason)
        if self.action == "stop":
            raise ValueError(
                f"{reason} at step {self._step}: lower train.learning_rate, or go on from the last"
                f" checkpoint with train.guard=skip (the windows are in {self.run.skipped})"
            )
        self.in_a_row += 1
        self.skipped += 1
        if self.in_a_row >= MOST_IN_A_ROW:
            raise ValueError(
                f"{reason} at step {self._step}, and {MOST_IN_A_ROW} steps in a row were left out:"
                f" lower train.learning_rate (see {self.run.skipped})"
            )
        warn(f"{reason} at step {self._step}: left out of the training, see {self.run.skipped}")

    def _find_fault(self, loss: float, optimizer: torch.optim.Optimizer) -> str | None:
        if not math.isfinite(loss):
            return "the loss is no longer a number"
        if not _gradients_are_finite(optimizer, self.ranks):
            return "a gradient is no longer a number"
        if self.spike is None or len(self.losses) < FEWEST:
            return None
        mean = sum(self.losses) / len(self.losses)
        spread = math.sqrt(sum((one - mean) ** 2 for one in self.losses) / len(self.losses))
        if loss <= mean + self.spike * spread:
            return None
        return f"the loss is {loss:.3f} where {mean:.3f} is usual"

    def _write_down(self, loss: float, reason: str) -> None:
        first = (self._step - 1) * self.samples
        numbers = range(first, first + self.samples)
        values: dict[str, Any] = {
            "step": self._step,
            "reason": reason,
            "action": self.action,
            "loss": loss if math.isfinite(loss) else str(loss),
            "samples": [numbers.start, numbers.stop],
            "shown": self.name_samples(numbers),
        }
        append_json_line(self.run.skipped, values)

    def save(self, folder: Path) -> None:
        """Write what is known into a checkpoint."""
        state = {
            "losses": list(self.losses),
            "in_a_row": self.in_a_row,
            "overflows": self.overflows,
            "skipped": self.skipped,
            "processes": self.ranks.size,
            "slices": self.ranks.ways,
        }
        write_json(folder / STATE, state)

    def load(self, folder: Path) -> None:
        """Read it from a checkpoint again; one without it (an older run's) leaves all as it is."""
        if (folder / STATE).is_file():
            state = read_json(folder / STATE)
            self.losses.extend(state["losses"])
            self.in_a_row, self.skipped = state["in_a_row"], state["skipped"]
            self.overflows = state.get("overflows", 0)
            before, slices = state.get("processes", 1), state.get("slices", 1)
            if (before, slices) != (self.ranks.size, self.ranks.ways):
                cut = f", with {self.ranks.ways} slices of a window for {slices}"
                warn(
                    f"{self.ranks.size} processes go on where {before} stopped"
                    f"{cut if slices != self.ranks.ways else ''}:"
                    " the same samples in the same order, but sums are rounded otherwise, so that"
                    " the weights will not be those of an uninterrupted run to the last bit"
                )


def _gradients_are_finite(optimizer: torch.optim.Optimizer, ranks: Ranks) -> bool:
    gradients = [
        parameter.grad
        for group in optimizer.param_groups
        for parameter in group["params"]
        if parameter.grad is not None
    ]
    if not gradients:
        return True
    here = [one.to_local() if isinstance(one, DTensor) else one for one in gradients]
    # Of a sum of norms one look at the device is enough.
    finite = bool(torch.stack(torch._foreach_norm(here)).sum().isfinite())
    # Of shards every process has seen its own.
    return not ranks.any(not finite) if isinstance(gradients[0], DTensor) else finite


class GuardedAdamW(AdamW):
    """AdamW that does not move where its guard says so: no step, no decay, no moments.

    Attributes:
        guard: Asked before each step; None lets all through.
    """

    guard: Guard | None = None

    def step(self, closure: Any = None) -> Any:
        """Move the weights, if the guard lets the step through."""
        if self.guard is not None and not self.guard.lets_through(self):
            return None
        return super().step(closure)
