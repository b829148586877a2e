"""Processes of a training that never come, or go: one line that names what happened."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from torch import distributed

from genolm.console import set_verbosity
from genolm.training.checkpoints import COMPLETE, checkpoint_step, find_damage

MARKS: Final = ("gloo/transport", "Gloo connectFullMesh", "NCCL", "ProcessGroup", "TCPStore")
"""In the messages of plain RuntimeErrors that the exchange between processes raises."""
TIMES: Final = ("timed out", "timeout")


def is_lost(error: RuntimeError) -> bool:
    """Tell whether an error says that another process did not do its part of an exchange."""
    return isinstance(error, distributed.DistError) or any(mark in str(error) for mark in MARKS)


@contextmanager
def say_who_never_came(rank: int, size: int, minutes: float) -> Iterator[None]:
    """Turn what torch raises at the meeting of the processes into one line.

    Args:
        rank: Number of this process.
        size: How many were to come.
        minutes: For which they were waited for.

    Raises:
        ConnectionError: Not all came.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_lost(error):
            raise
        who = "the first one was not found" if rank else "not all of them came"
        raise ConnectionError(
            f"process {rank} of {size} waited {minutes:g} minutes for the others "
            f"(train.rank_timeout), and {who}: start all {size}, with the same MASTER_ADDR and "
            f"MASTER_PORT ({_first_line(error)})"
        ) from None


@contextmanager
def say_who_is_lost(rank: int, size: int, minutes: float, checkpoints: Path) -> Iterator[None]:
    """Turn what torch raises when another process has gone or hangs into one line.

    Args:
        rank: Number of this process.
        size: How many there are.
        minutes: For which another one is waited for.
        checkpoints: The run's, to say what is left.

    Raises:
        ConnectionError: Another process has gone, or did not answer in time.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_lost(error):
            raise
        set_verbosity(quiet=True, verbose=False)  # the first one, which speaks, may be the lost one
        late = any(word in str(error).lower() for word in TIMES)
        what = (
            f"has not answered for {minutes:g} minutes (train.rank_timeout)" if late else "has gone"
        )
        raise ConnectionError(
            f"process {rank} of {size}: another process {what}; {_what_is_left(checkpoints)}"
            f" ({_first_line(error)})"
        ) from None


def _what_is_left(checkpoints: Path) -> str:
    finished = [
        folder for folder in checkpoints.glob("checkpoint-*") if (folder / COMPLETE).is_file()
    ]
    for folder in sorted(finished, key=checkpoint_step, reverse=True):
        if find_damage(folder) is None:
            step = checkpoint_step(folder)
            return f"the checkpoint of step {step} is whole, and the same command goes on from it"
    return "there is no checkpoint yet, and the same command begins anew"


def _first_line(error: RuntimeError) -> str:
    # What the library adds for people who look into its own code is left out.
    line = str(error).splitlines()[0].split("] ", 1)[-1]
    return line.split(". This is typically", 1)[0].rstrip(".")
