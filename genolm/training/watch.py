"""What a training makes of the machine: model FLOP utilisation and peak memory."""

import sys
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import torch
from transformers import PreTrainedConfig

from genolm.console import format_bytes
from genolm.models.configuration import GenolmConfig
from genolm.models.cost import count_cost
from genolm.training.ranks import Ranks
from genolm.training.recipe_pretrain import PretrainRecipe

STATUS = Path("/proc/self/status")

FlopsOfStep = Callable[[int], float]


@dataclass(frozen=True)
class Watch:
    """Figures of the machine, beside those of the model.

    Attributes:
        device: Trained on.
        flops_of_step: Number of a step (from 1) to the floating-point operations of the model in
            it, over all processes, without what is computed twice to save memory; None where they
            are not counted.
        peak: Operations a second that all devices could do; None where that is unknown.
    """

    device: torch.device
    flops_of_step: FlopsOfStep | None = None
    peak: float | None = None

    def figures(self, first: int, last: int, seconds: float) -> dict[str, float | None]:
        """Return what is written of some steps, that of a figure nobody knows left out.

        Args:
            first: Number of the first step.
            last: Number of the last one.
            seconds: That they took.

        Returns:
            ``mfu`` (a share of the peak) and ``peak_memory_bytes`` (of this process since it
            began: the device's memory on CUDA, else the resident memory).
        """
        figures: dict[str, float | None] = {}
        if self.flops_of_step is not None and self.peak is not None and last >= first:
            flops = sum(self.flops_of_step(step) for step in range(first, last + 1))
            figures["mfu"] = round(flops / max(seconds, 1e-9) / self.peak, 4)
        memory = peak_memory(self.device)
        if memory is not None:
            figures["peak_memory_bytes"] = memory
        return figures


def count_steps(config: PreTrainedConfig, recipe: PretrainRecipe, ranks: Ranks) -> FlopsOfStep:
    """Count the model's operations in each step of a pretraining.

    Args:
        config: Of the model.
        recipe: Says how many windows of which length a step shows.
        ranks: Processes that share out every batch.

    Returns:
        Number of a step, from 1, to its floating-point operations.
    """
    assert isinstance(config, GenolmConfig)
    train, length = recipe.train, recipe.data.length
    ends = list(accumulate(stage.steps for stage in train.length_stages))
    lengths = [stage.length for stage in train.length_stages] + [length]
    windows = train.batch_size // ranks.shares
    costs = [count_cost(config, one, batch_size=windows * length // one) for one in lengths]
    tokens = train.batch_size * train.accumulate * length
    flops = [tokens * cost.training_flops for cost in costs]
    return lambda step: flops[bisect_right(ends, step - 1)]


def tell_machine(figures: dict[str, float | None]) -> str:
    """Return the figures of the machine as words: ``, 41 % of peak, 1.2 GiB``."""
    told = ""
    if (share := figures.get("mfu")) is not None:
        told += f", {100 * share:.3g} % of peak"
    if (memory := figures.get("peak_memory_bytes")) is not None:
        told += f", {format_bytes(memory)}"
    return told


def peak_memory(device: torch.device) -> int | None:
    """Return the most bytes that this process has held; None where nobody counts them.

    Args:
        device: On CUDA its memory as torch's allocator saw it, else the resident memory.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if STATUS.is_file():  # getrusage would count what ran before in the same process, too
        fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if ":" in line)
        return int(fields["VmHWM"].split()[0]) * 1024 if "VmHWM" in fields else None
    if sys.platform != "darwin":
        return None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
