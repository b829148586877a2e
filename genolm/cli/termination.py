"""SIGTERM as an orderly end: clean up, say one line, and exit as a shell would report it."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final, NoReturn

SIGTERM_EXIT_CODE: Final = 128 + signal.SIGTERM


class Terminated(BaseException):
    """SIGTERM came; no `except Exception` stops it on its way out."""


@dataclass
class Ending:
    """How the block ended.

    Attributes:
        code: Exit code of the command.
    """

    code: int = 0


@contextmanager
def ending_on_sigterm() -> Iterator[Ending]:
    """Let SIGTERM end the block through its cleanup; afterwards ``code`` is 143.

    A second SIGTERM during the cleanup is ignored, so that no half file stays behind.
    """
    ending = Ending()
    if threading.current_thread() is not threading.main_thread():
        yield ending  # only the main thread may change how signals are handled
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield ending
    except Terminated:
        print("genolm: error: stopped by SIGTERM", file=sys.stderr, flush=True)
        ending.code = SIGTERM_EXIT_CODE
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated
