"""A folder that one process works in keeps the others out."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from genolm.errors import UsageError

_TAKEN: Final = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


@contextmanager
def hold_folder(folder: Path, reason: str) -> Iterator[None]:
    """Hold a folder during the block; the system lets go of it however the process ends.

    The lock is on the folder itself, so that it leaves no file behind. Where there are no such
    locks (Windows, some network file systems) nothing is held.

    Args:
        folder: It must exist.
        reason: What the error says of the process that holds it.

    Raises:
        UsageError: Another process holds it.
    """
    handle = _lock(folder, reason)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _lock(folder: Path, reason: str) -> int | None:
    with suppress(ModuleNotFoundError):  # Windows has no fcntl
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            if error.errno in _TAKEN:
                raise UsageError(f"{folder}: {reason}; wait for it, or name another one") from None
            return None
        return handle
    return None
