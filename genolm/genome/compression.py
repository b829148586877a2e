"""Open plain, gzip and bgzip files (or standard input) alike, going by content, never by name."""

import io
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from genolm.errors import InputError, UsageError
from genolm.genome.content import HEAD_BYTES, compression_of

if TYPE_CHECKING:
    from typing_extensions import Buffer

BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_CHUNK = 1 << 16
_BUFFER = 1 << 18


class DamagedInputError(InputError):
    """Compressed data that is cut short or corrupt."""


class GunzipStream(io.RawIOBase):
    """The decompressed bytes of a gzip or bgzip stream.

    Args:
        compressed: Where the bytes come from; closed with this stream.
        source: How messages call it.
        bgzip: Whether the end marker of bgzip has to come.
        keep_members: Whether to note where members begin, which takes memory for every block.

    Attributes:
        members: Where each gzip member (each bgzip block) begins: (compressed, decompressed)
            offset in bytes. The numbers that a .gzi index holds.
        size: Number of bytes decompressed so far.

    Raises:
        DamagedInputError: While reading, after everything readable has been delivered: the data are
            corrupt, end inside a member, or lack the end marker of bgzip.
    """

    def __init__(
        self, compressed: BinaryIO, source: str, *, bgzip: bool, keep_members: bool = True
    ) -> None:
        self.members: list[tuple[int, int]] = []
        self.size = 0
        self._compressed = compressed
        self._source = source
        self._bgzip = bgzip
        self._keep_members = keep_members
        self._inside = False
        self._input = b""
        self._output = memoryview(b"")
        self._tail = b""
        self._read = 0

    def readable(self) -> bool:
        """Say that this stream is for reading."""
        return True

    def readinto(self, buffer: "Buffer") -> int:
        """Fill ``buffer`` from the front and return the number of bytes, 0 at the end."""
        while not self._output:
            if not self._input and not self._refill():
                return 0
            self._decompress()
        target = memoryview(buffer)
        count = min(len(target), len(self._output))
        target[:count] = self._output[:count]
        self._output = self._output[count:]
        return count

    def _refill(self) -> bool:
        self._input = self._compressed.read(_CHUNK)
        self._read += len(self._input)
        self._tail = (self._tail + self._input)[-len(BGZIP_END) :]
        if self._input:
            return True
        if self._inside:
            raise DamagedInputError(f"{self._source}: truncated gzip data (fetch the file again)")
        if self._bgzip and self._tail != BGZIP_END:
            raise DamagedInputError(
                f"{self._source}: truncated bgzip data, the end marker is missing (fetch the file "
                "again, or recompress it with bgzip if it is whole)"
            )
        return False

    def _decompress(self) -> None:
        if not self._inside:
            self._input = self._input.lstrip(b"\0")  # padding between members is legal
            if not self._input:
                return
            self._decoder = zlib.decompressobj(zlib.MAX_WBITS | 16)
            self._inside = True
            if self._keep_members:
                self.members.append((self._read - len(self._input), self.size))
        try:
            output = self._decoder.decompress(self._input)
        except zlib.error as error:
            raise DamagedInputError(f"{self._source}: damaged gzip data ({error})") from error
        self.size += len(output)
        self._output = memoryview(output)
        self._input = self._decoder.unused_data
        self._inside = not self._decoder.eof

    def close(self) -> None:
        """Close the compressed stream too."""
        self._compressed.close()
        super().close()


class _Rejoined(io.RawIOBase):
    """A stream that gives back first what was read to look at it."""

    def __init__(self, head: bytes, rest: BinaryIO, *, keep_open: bool) -> None:
        self._head = head
        self._rest = rest
        self._keep_open = keep_open

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "Buffer") -> int:
        target = memoryview(buffer)
        piece = self._head[: len(target)] or self._rest.read(len(target))
        self._head = self._head[len(piece) :]
        target[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        if not self._keep_open:
            self._rest.close()
        super().close()


def source_name(path: str | Path) -> str:
    """Return how messages call this input."""
    return "standard input" if str(path) == "-" else str(path)


def require_file(path: str | Path) -> Path:
    """Return ``path`` as a Path.

    Raises:
        UsageError: There is no such file, or it is a folder.
    """
    file = Path(path)
    if file.is_dir():
        raise UsageError(f"{path} is a folder; a file is needed here")
    if not file.exists():
        raise UsageError(f"no such file: {path}")
    return file


def open_decompressed(path: str | Path) -> io.BufferedReader:
    """Open a plain, gzip or bgzip file for reading its decompressed bytes.

    Args:
        path: A file, or ``"-"`` for standard input.

    Raises:
        UsageError: There is no such file.
        DamagedInputError: Later, from reading, when compressed data are truncated or corrupt.
    """
    is_stdin = str(path) == "-"
    file: BinaryIO = sys.stdin.buffer if is_stdin else require_file(path).open("rb")
    head = file.read(HEAD_BYTES)
    whole: io.BufferedReader = io.BufferedReader(_Rejoined(head, file, keep_open=is_stdin), _BUFFER)
    compression = compression_of(head)
    if compression == "plain":
        return whole
    is_bgzip = compression == "bgzip"
    stream = GunzipStream(whole, source_name(path), bgzip=is_bgzip, keep_members=False)
    return io.BufferedReader(stream, _BUFFER)
