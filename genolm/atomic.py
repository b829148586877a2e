"""Write files so that the final name only ever holds a complete file."""

import errno
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_FULL: Final = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)  # only writing fails with these


def temporary_name(path: Path) -> Path:
    """Return a fresh hidden name beside ``path`` that keeps its suffixes."""
    return path.with_name(f".{secrets.token_hex(4)}.partial.{path.name}")


def remove_leftovers(path: Path, suffixes: Sequence[str] = ()) -> None:
    """Remove what a killed process left under temporary names of ``path``.

    Args:
        path: A final name that no other process is writing.
        suffixes: What temporary names of files that belong to it end in besides.
    """
    also = "|".join(map(re.escape, suffixes))
    name = re.compile(rf"\.[0-9a-f]{{8}}\.partial\.{re.escape(path.name)}({also})?")
    for other in path.absolute().parent.iterdir():
        if name.fullmatch(other.name):
            other.unlink(missing_ok=True)


@contextmanager
def replace_when_done(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path that takes the place of ``path`` when the block succeeds.

    Args:
        path: The final name; its folder must exist.

    Yields:
        A path in the same folder (so that the rename is atomic). It is removed when the
        block raises, Ctrl-C included, and ``path`` is then left as it was.

    Raises:
        OSError: What the block raised; a full disk is said of ``path`` where no file was named.
    """
    final = Path(path)
    partial = temporary_name(final)
    try:
        yield partial
        partial.replace(final)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _FULL and error.filename is None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, whole or not at all."""
    with replace_when_done(path) as partial:
        partial.write_text(text, encoding="utf-8")
