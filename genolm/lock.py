"""What one process works in keeps the others out."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genolm.errors import UsageError


class FolderHeldError(UsageError):
    """Another process works in a folder."""


def try_lock(handle: int) -> bool:
    """Lock an open file or folder; the system lets go of it when it is closed, however that is.

    Args:
        handle: Its file descriptor.

    Returns:
        False where another process holds it. Where there are no such locks (Windows, some network
        file systems) nothing is held, and nobody is kept out.
    """
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


@contextmanager
def hold_folder(folder: Path, reason: str) -> Iterator[None]:
    """Hold a folder during the block; the lock is on the folder itself and leaves no file behind.

    Args:
        folder: It must exist.
        reason: What the error says of the process that holds it.

    Raises:
        FolderHeldError: Another process holds it.
    """
    if sys.platform == "win32":  # folders cannot be opened there
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        if not try_lock(handle):
            raise FolderHeldError(f"{folder}: {reason}; wait for it, or name another one")
        yield
    finally:
        os.close(handle)
