"""Write an array of unknown height to .npy, rows as they come, whole or not at all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genolm.atomic import replace_when_done

WriteRows = Callable[[NDArray[np.float32]], None]


@contextmanager
def open_rows(path: str | Path, width: int) -> Iterator[WriteRows]:
    """Open a float32 array (rows, width); it takes its name when the block has succeeded.

    Args:
        path: Its name ends in .npy.
        width: Numbers in a row.

    Yields:
        A function that appends rows (any number, width).
    """
    height = 0
    with replace_when_done(path) as partial, partial.open("wb") as stream:
        # numpy leaves room in the header for the first axis to grow.
        _write_header(stream, height, width)
        beginning = stream.tell()

        def write(rows: NDArray[np.float32]) -> None:
            nonlocal height
            stream.write(np.ascontiguousarray(rows, dtype="<f4").tobytes())
            height += len(rows)

        yield write
        stream.seek(0)
        _write_header(stream, height, width)
        assert stream.tell() == beginning


def _write_header(stream: object, height: int, width: int) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": (height, width)}
    np.lib.format.write_array_header_1_0(stream, header)  # type: ignore[arg-type]  # any file
