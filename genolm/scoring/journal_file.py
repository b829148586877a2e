"""The file of a journal: frames with checksums, so that a torn end is told from what is whole.

A frame is the number of its bytes and their CRC-32 (little-endian, 4 bytes each), then the bytes.
The first is the header, as JSON; every other one is an entry.
"""

import json
import os
import struct
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from genolm.errors import UsageError
from genolm.lock import try_lock

MAGIC: Final = b"genolm journal 1\n"
SYNC_SECONDS: Final = 10.0  # what a failing machine can take away; a process that ends, nothing
_FRAME: Final = struct.Struct("<II")


def journal_path(output: str | Path, part: str = "") -> Path:
    """Return where the journal of an output stands: beside it, hidden.

    Args:
        output: The file that is made.
        part: What tells the journals of several processes apart.
    """
    return Path(output).with_name(f".{Path(output).name}.genolm-journal{part}")


class JournalFile:
    """An open journal that no other process writes.

    Args:
        path: Its name.
        output: The file that it is the journal of, for messages.
        create: Whether to make it where there is none.
        lock: Whether it is to be written; without, it is only read.

    Raises:
        UsageError: Another process writes it.
        FileNotFoundError: There is none, and it is not to be made.
    """

    def __init__(self, path: Path, output: str, *, create: bool, lock: bool = True) -> None:
        self.path = path
        self._output = output
        self._stream = self._open(create) if lock else path.open("rb", buffering=0)
        self._end = 0
        self._synced = time.monotonic()

    def _open(self, create: bool) -> BinaryIO:
        while True:
            if create:
                self.path.touch()
            stream = self.path.open("r+b", buffering=0)
            try:
                self._lock(stream)
                # Between opening and locking, its owner may have finished and taken it away.
                with suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(stream.fileno()), self.path.stat()):
                        return stream
            except BaseException:
                stream.close()
                raise
            stream.close()

    def _lock(self, stream: BinaryIO) -> None:
        if not try_lock(stream.fileno()):
            raise UsageError(
                f"{self._output} is being written by another genolm: wait for it, or name another"
                " output"
            )

    def header(self) -> dict[str, Any] | None:
        """Return the header, None where it is damaged or none was written."""
        self._stream.seek(0)
        if self._stream.read(len(MAGIC)) != MAGIC:
            return None
        payload = self._read_frame()
        self._end = self._stream.tell()
        return None if payload is None else cast(dict[str, Any], json.loads(payload))

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """Yield place and content of every entry up to the first that is not whole."""
        while True:
            place = self._end
            payload = self.read(place)
            if payload is None:
                return
            self._end = place + _FRAME.size + len(payload)
            yield place, payload

    def read(self, place: int) -> bytes | None:
        """Return the content of the entry at a place, None where it is not whole."""
        self._stream.seek(place)
        return self._read_frame()

    def _read_frame(self) -> bytes | None:
        head = self._stream.read(_FRAME.size)
        if len(head) < _FRAME.size:
            return None
        size, checksum = _FRAME.unpack(head)
        remaining = os.fstat(self._stream.fileno()).st_size - self._stream.tell()
        payload = self._stream.read(size) if size <= remaining else b""
        return payload if len(payload) == size and zlib.crc32(payload) == checksum else None

    def begin(self, header: Mapping[str, Any]) -> None:
        """Forget all that is written, and write a header."""
        self._end = 0
        self._write(MAGIC + _frame(json.dumps(header).encode("ascii")))
        self._stream.truncate(self._end)

    def append(self, payload: bytes) -> None:
        """Write an entry after the last one that is whole.

        Raises:
            OSError: It cannot be written; what was written before is not touched.
        """
        self._write(_frame(payload))
        if time.monotonic() - self._synced > SYNC_SECONDS:
            os.fsync(self._stream.fileno())
            self._synced = time.monotonic()

    def _write(self, data: bytes) -> None:
        try:
            self._stream.seek(self._end)
            rest = memoryview(data)
            while rest:
                rest = rest[self._stream.write(rest) :]
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from error
        self._end += len(data)

    def close(self) -> None:
        """Close the file and let go of it."""
        self._stream.close()

    def remove(self) -> None:
        """Take the file away."""
        self.path.unlink(missing_ok=True)  # before it is let go, so that nobody else's is removed
        self.close()


def _frame(payload: bytes) -> bytes:
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload
