"""Read any span of the decompressed bytes of a plain or bgzip file."""

import bisect
import io
import struct
from pathlib import Path
from typing import Self

from genolm.genome.compression import GunzipStream


class SpanReader:
    """Spans of a file by decompressed offset.

    A bgzip file is a row of gzip members, so decompression can begin at any of them.

    Args:
        path: A plain file, or a bgzip file.
        blocks: None for a plain file; for bgzip the (compressed, decompressed) offsets at which
            its blocks begin, in order and from (0, 0) on.
    """

    def __init__(self, path: Path, blocks: list[tuple[int, int]] | None) -> None:
        self._path = path
        self._file = path.open("rb")
        self._blocks = blocks or []
        self._starts = [start for _, start in self._blocks]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def read(self, start: int, size: int = -1) -> bytes:
        """Return up to ``size`` decompressed bytes from ``start`` on; all that follow for -1.

        Raises:
            DamagedInputError: No block begins where one should, or the data are cut short.
        """
        if not self._blocks:
            self._file.seek(start)
            return self._file.read(size)
        block = bisect.bisect_right(self._starts, start) - 1
        compressed, decompressed = self._blocks[block]
        file = self._path.open("rb")
        file.seek(compressed)
        with io.BufferedReader(GunzipStream(file, str(self._path), bgzip=True), 1 << 16) as stream:
            stream.read(start - decompressed)
            return stream.read(size)


def read_gzi(path: Path) -> list[tuple[int, int]]:
    """Return the (compressed, decompressed) block offsets of a .gzi index, (0, 0) first.

    Raises:
        ValueError: The file is no .gzi index.
    """
    data = path.read_bytes()
    count = int.from_bytes(data[:8], "little")
    if len(data) != 8 + 16 * count:
        raise ValueError(f"{path} is not a .gzi index")
    numbers = struct.unpack(f"<{2 * count}Q", data[8:])
    return [(0, 0), *zip(numbers[::2], numbers[1::2], strict=True)]


def gzi_bytes(members: list[tuple[int, int]], size: int) -> bytes:
    """Return the .gzi index of a bgzip file as htslib writes it.

    Args:
        members: The (compressed, decompressed) offset of every block.
        size: Number of decompressed bytes; blocks that begin there are empty and left out, and so
            is the first block, whose place is known.
    """
    blocks = [block for block in members[1:] if block[1] < size]
    return struct.pack("<Q", len(blocks)) + b"".join(struct.pack("<QQ", *block) for block in blocks)
