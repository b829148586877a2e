"""One training by several processes, as torchrun starts them: each takes its share of every batch.

A step shows the same samples in the same order however many processes there are, and its loss is
the mean over all of its targets, wherever they are. The first process alone writes, and speaks.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar

import torch
from torch import Tensor, distributed

from genolm.console import be_silent
from genolm.errors import UsageError
from genolm.parallel import SequenceGroup
from genolm.training.lost_ranks import say_who_is_lost, say_who_never_came
from genolm.training.slices import join_group

PATIENCE: Final = timedelta(days=7)
"""For which the others wait while the first process does what it does alone."""

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """The processes of a training, as one of them sees them.

    Attributes:
        rank: Its number, from 0.
        size: How many there are.
        patient: For waiting as long as it takes; None if there is nobody to wait for.
        sequence: Those that have the other slices of this one's sequences; None if these are whole.
    """

    rank: int = 0
    size: int = 1
    patient: distributed.ProcessGroup | None = None
    sequence: SequenceGroup | None = None

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    @property
    def ways(self) -> int:
        """How many slices a sequence is cut into."""
        return 1 if self.sequence is None else self.sequence.size

    @property
    def shares(self) -> int:
        """How many shares a batch is dealt out in: one for each whole sequence."""
        return self.size // self.ways

    def wait(self, *, patiently: bool = False) -> None:
        """Go on when all have come here.

        Args:
            patiently: Whether one may come late, after work that it does alone. That it is gone
                is noticed at once in any case.
        """
        if self.size > 1:
            distributed.barrier(self.patient if patiently else None)

    def sum(self, value: Tensor) -> Tensor:
        """Return the sum of a value over the processes."""
        if self.size > 1:
            value = value.clone()
            distributed.all_reduce(value)
        return value

    def any(self, flag: bool) -> bool:
        """Tell whether it is so in any process."""
        if self.size == 1:
            return flag
        return bool(self.sum(torch.tensor(int(flag), device=_device())) > 0)

    def share(self, value: T) -> T:
        """Return the value that the first process has."""
        if self.size == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def split(self, batch_size: int) -> int:
        """Return how many samples of a batch are this process's.

        Raises:
            UsageError: They cannot be shared out evenly.
        """
        if batch_size % self.shares:
            raise UsageError(
                f"train.batch_size: {batch_size} windows cannot be shared out over {self.shares} "
                "processes; choose a multiple"
            )
        return batch_size // self.shares


def _device() -> str:
    return "cuda" if distributed.get_backend() == "nccl" else "cpu"


def count_processes() -> int:
    """Return how many processes torchrun started for this command."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def refuse_ranks(verb: str) -> None:
    """Refuse to be one of several processes.

    Raises:
        UsageError: torchrun started more than one.
    """
    if count_processes() > 1:
        raise UsageError(f"{verb} runs in one process; start it without torchrun")


@contextmanager
def join_ranks(
    device: torch.device, minutes: float, checkpoints: Path, ways: int = 1
) -> Iterator[Ranks]:
    """Meet the other processes, if there are any, for as long as the block runs.

    Args:
        device: To train on.
        minutes: To wait for the others, at the beginning and in every exchange.
        checkpoints: The run's, to say what is left when another process is lost.
        ways: How many processes share a sequence.

    Raises:
        UsageError: The processes cannot be divided so.
        ConnectionError: Another process has not come, has gone, or does not answer.
    """
    size, rank = count_processes(), int(os.environ.get("RANK", "0"))
    wait = timedelta(minutes=minutes)
    if size == 1:
        join_group(rank, size, ways, wait)
        yield Ranks()
        return
    from accelerate import PartialState

    with say_who_never_came(rank, size, minutes):
        state = PartialState(cpu=device.type == "cpu", timeout=wait)
        patient = distributed.new_group(backend="gloo", timeout=PATIENCE)
        sequence = join_group(rank, size, ways, wait)
    ranks = Ranks(state.process_index, state.num_processes, patient, sequence)
    if not ranks.leads:
        be_silent()
    try:
        with say_who_is_lost(rank, size, minutes, checkpoints):
            yield ranks
    finally:
        state.destroy_process_group()
