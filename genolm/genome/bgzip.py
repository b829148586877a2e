"""Write bgzip, the gzip of small blocks that tabix and htslib jump about in.

pysam writes it too, but in one thread and with the interpreter held: whoever makes the data has
to wait for the compressor. zlib lets go of the interpreter.
"""

import io
import os
import struct
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, BinaryIO, Final

from genolm.genome.compression import BGZIP_END

if TYPE_CHECKING:
    from typing_extensions import Buffer

BLOCK: Final = 0xFF00  # bytes; however badly they compress, a block stays below 64 KiB
BATCH: Final = 16 * BLOCK  # what a thread is given at a time
MOST_THREADS: Final = 4
_LEVEL: Final = 6  # as bgzip
_HEADER: Final = bytes.fromhex("1f8b08040000000000ff060042430200")


def bgzip_blocks(data: bytes) -> bytes:
    """Return data as bgzip blocks, without the end marker of a file."""
    starts = range(0, len(data), BLOCK)
    return b"".join(_bgzip_block(data[start : start + BLOCK]) for start in starts)


def _bgzip_block(data: bytes) -> bytes:
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(data) + packer.flush()
    last = len(_HEADER) + len(body) + 9  # size of the block minus one: 2 bytes here, 8 at its end
    return b"".join(
        (
            _HEADER,
            struct.pack("<H", last),
            body,
            struct.pack("<II", zlib.crc32(data), len(data)),
        )
    )


class BgzipWriter(io.BufferedIOBase):
    """Compresses what is written in threads, in order and in constant memory.

    Closing it completes the file; leaving a ``with`` block by an error does not.

    Args:
        stream: Where the compressed bytes go; it is left open.
        threads: How many compress; None is one for every core, 4 at most.
    """

    def __init__(self, stream: BinaryIO, threads: int | None = None) -> None:
        self._stream = stream
        self._threads = threads or min(MOST_THREADS, os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(self._threads, "bgzip")
        self._waiting = bytearray()
        self._coming: deque[Future[bytes]] = deque()

    def writable(self) -> bool:
        """Say that this stream is for writing."""
        return True

    def write(self, data: "Buffer") -> int:
        """Take bytes and return how many, all of them."""
        before = len(self._waiting)
        self._waiting += data
        count = len(self._waiting) - before
        while len(self._waiting) >= BATCH:
            self._compress(bytes(self._waiting[:BATCH]))
            del self._waiting[:BATCH]
        return count

    def _compress(self, batch: bytes) -> None:
        if len(self._coming) > self._threads:
            self._stream.write(self._coming.popleft().result())
        self._coming.append(self._pool.submit(bgzip_blocks, batch))

    def close(self) -> None:
        """Write what is waiting, and the end marker."""
        if self.closed:
            return
        try:
            while self._coming:
                self._stream.write(self._coming.popleft().result())
            self._stream.write(bgzip_blocks(bytes(self._waiting)) + BGZIP_END)
        finally:
            self._abandon()

    def _abandon(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._coming.clear()
        self._waiting.clear()
        super().close()

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self.close()
        else:
            self._abandon()
