"""Write files so that the final name only ever holds a complete file."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def temporary_name(path: Path) -> Path:
    """Return a fresh hidden name beside ``path`` that keeps its suffixes."""
    return path.with_name(f".{secrets.token_hex(4)}.partial.{path.name}")


@contextmanager
def replace_when_done(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path that takes the place of ``path`` when the block succeeds.

    Args:
        path: The final name; its folder must exist.

    Yields:
        A path in the same folder (so that the rename is atomic). It is removed when the
        block raises, Ctrl-C included, and ``path`` is then left as it was.
    """
    final = Path(path)
    partial = temporary_name(final)
    try:
        yield partial
        partial.replace(final)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, whole or not at all."""
    with replace_when_done(path) as partial:
        partial.write_text(text, encoding="utf-8")
