"""SIGTERM and Ctrl-C as an orderly end: clean up, say one line, exit as a shell would report it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final, NoReturn

from genolm.console import complain
from genolm.errors import Terminated

SIGTERM_EXIT_CODE: Final = 128 + signal.SIGTERM
SIGINT_EXIT_CODE: Final = 128 + signal.SIGINT


class Interrupted(BaseException):
    """Ctrl-C came; typer knows it by its own name only, and drops what was noted about it."""


def with_notes(text: str, error: BaseException) -> str:
    """Return a message with what was noted on its way about going on from here."""
    return "; ".join([text, *getattr(error, "__notes__", ())])


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
    except Terminated as error:
        complain(with_notes("stopped by SIGTERM", error))
        ending.code = SIGTERM_EXIT_CODE
    except KeyboardInterrupt as error:
        raise Interrupted(with_notes("stopped by Ctrl-C", error)) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated
