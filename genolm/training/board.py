"""The figures of metrics.jsonl for TensorBoard, in OUTPUT/tensorboard."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from genolm.errors import UsageError
from genolm.training.run_folder import RunFolder

MACHINE = ("tokens_per_second", "mfu", "peak_memory_bytes")


class Board:
    """An open event file.

    Args:
        run: In whose folder it is.
        step: The step that training goes on from; what was written of later ones is taken back.
    """

    def __init__(self, run: RunFolder, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(run.boards), purge_step=step + 1)

    def write(self, step: int, figures: Mapping[str, float | None]) -> None:
        """Write the figures of a step; those that are undefined are left out.

        Args:
            step: Its number.
            figures: As in a line of metrics.jsonl.
        """
        for name, value in figures.items():
            if value is not None:
                self._writer.add_scalar(_tag(name), value, step)
        self._writer.flush()  # a killed process leaves what it has told

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


def _tag(name: str) -> str:
    if name.startswith("valid_"):
        return f"valid/{name.removeprefix('valid_')}"
    return f"machine/{name}" if name in MACHINE else f"train/{name}"


def require_tensorboard(wanted: bool) -> None:
    """Refuse a recipe that wants TensorBoard where it is not installed.

    Raises:
        UsageError: Naming the command that installs it.
    """
    if wanted and find_spec("tensorboard") is None:
        raise UsageError(
            "train.tensorboard: TensorBoard is not installed: pip install 'genolm[tensorboard]'"
        )


@contextmanager
def open_board(run: RunFolder, step: int, *, wanted: bool) -> Iterator[Board | None]:
    """Open a run's event file for the block; None if it is not wanted.

    Args:
        run: In whose folder it is.
        step: The step that training goes on from.
        wanted: Whether to.
    """
    if not wanted:
        yield None
        return
    board = Board(run, step)
    try:
        yield board
    finally:
        board.close()
