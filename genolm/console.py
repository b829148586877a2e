"""What a user sees on stderr: messages, warnings, and progress that suits a screen or a log.

Data goes to stdout and everything here to stderr, so that a pipe never carries a message.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:  # rich takes a tenth of a second to import, and --help needs none of it
    from rich.console import Console
    from rich.progress import Progress

LOG_EVERY_SECONDS = 5.0


@dataclass
class Verbosity:
    """How much is said: -1 after ``-q``, 0 by default, 1 after ``-v``, -2 nothing at all."""

    level: int = 0


VERBOSITY = Verbosity()


def set_verbosity(*, quiet: bool, verbose: bool) -> None:
    """Set how much is said for the rest of the process."""
    VERBOSITY.level = -1 if quiet else int(verbose)


def be_silent() -> None:
    """Say nothing for the rest of the process, not even what is wrong: another one says it."""
    VERBOSITY.level = -2


def complain(text: str) -> None:
    """Print an error on stderr, in one line."""
    if VERBOSITY.level > -2:
        print(f"genolm: error: {' '.join(text.split())}", file=sys.stderr, flush=True)


def stderr_console() -> "Console":
    """Return a rich console on the present stderr (``NO_COLOR`` is honoured by rich)."""
    from rich.console import Console

    return Console(file=sys.stderr, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Print a message on stderr unless ``-q`` was given."""
    if VERBOSITY.level >= 0:
        print(text, file=sys.stderr, flush=True)


def say_more(text: str) -> None:
    """Print a message on stderr when ``-v`` was given."""
    if VERBOSITY.level > 0:
        print(text, file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """Print a warning on stderr, ``-q`` or not: it may change what the numbers mean."""
    if VERBOSITY.level > -2:
        print(f"genolm: warning: {text}", file=sys.stderr, flush=True)


def format_seconds(seconds: float) -> str:
    """Return a duration as ``42 s``, ``3 min 05 s`` or ``2 h 07 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def format_bytes(count: float) -> str:
    """Return a number of bytes as ``312 MiB`` or ``1.2 GiB``."""
    if count < 1 << 30:
        return f"{count / (1 << 20):.0f} MiB"
    return f"{count / (1 << 30):.1f} GiB"


def _new_bar() -> "Progress":
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=stderr_console(),
        transient=True,
    )


@dataclass
class Meter:
    """Progress of one long piece of work: a bar on a terminal, else a line every few seconds.

    Attributes:
        label: What is being done, as a verb ("scoring").
        unit: What is counted ("variants").
        total: How many there will be; None when that is unknown.
    """

    label: str
    unit: str
    total: int | None = None
    done: int = 0
    note: str = ""
    started: float = field(default_factory=time.monotonic)
    _last_line: float = field(default_factory=time.monotonic)
    _bar: "Progress | None" = None

    def __enter__(self) -> Self:
        """Show the bar, on a terminal."""
        if VERBOSITY.level >= 0 and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            self._bar = _new_bar()
            self._bar.start()
            # What was done before the bar is shown must not count as its speed.
            self._bar.add_task(self.label, total=self.total, completed=self.done, note="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count ``count`` more units done; ``note`` stands beside the rate."""
        self.done += count
        self.note = note
        if self._bar is not None:
            task = self._bar.tasks[0].id
            self._bar.update(task, completed=self.done, note=self._rate_and_note())
        elif time.monotonic() - self._last_line >= LOG_EVERY_SECONDS:
            self._last_line = time.monotonic()
            say(self.line())

    def line(self) -> str:
        """Return the state as one line of text."""
        of_total = f"/{self.total:,}" if self.total is not None else ""
        left = ""
        if self.total is not None and self.done:
            per_unit = (time.monotonic() - self.started) / self.done
            left = f", {format_seconds(per_unit * (self.total - self.done))} left"
        return f"{self.label}: {self.done:,}{of_total} {self.unit}, {self._rate_and_note()}{left}"

    def _rate_and_note(self) -> str:
        rate = self.done / max(time.monotonic() - self.started, 1e-9)
        return f"{rate:,.3g} {self.unit}/s" + (f", {self.note}" if self.note else "")


@contextmanager
def meter(label: str, unit: str, total: int | None = None) -> Iterator[Meter]:
    """Show the progress of the block; call ``advance`` on what is yielded."""
    with Meter(label, unit, total) as shown:
        yield shown
