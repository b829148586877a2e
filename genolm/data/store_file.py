"""The file a decoded genome is kept in: one byte a base, then what it is.

Layout: the contigs' bytes one after another, a JSON footer, and 24 bytes (the footer's length, its
checksum and a mark) at the very end, so that a file cut short anywhere is recognised. A byte is the
token id, with 0x80 added where the letter was lower case. Files are written under another name and
renamed, so that any number of processes may build the same one.
"""

import hashlib
import json
import mmap
import os
import struct
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genolm.atomic import replace_when_done
from genolm.tokenization.encode import SOFT_MASKED, Encoded, EncodingCounts

FORMAT: Final = 1
_MARK: Final = b"gnlmgsto"
_END: Final = struct.Struct("<Q8s8s")
_PROBES: Final = 256
_PROBE_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class SourceKey:
    """What a store was made from; when any of it differs, the store is stale.

    Attributes:
        path: The FASTA's absolute path, links resolved.
        size: Its size in bytes.
        mtime_ns: When it was last changed, in nanoseconds.
    """

    path: str
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, fasta: Path) -> "SourceKey":
        """Read the key of a file that exists."""
        status = fasta.stat()
        return cls(str(fasta.resolve()), status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class StoreFooter:
    """What a store holds.

    Attributes:
        contigs: Length of each contig in bases, in file order.
        counts: Letters that were not plainly A, C, G or T.
        digest: SHA-256 of names, lengths and bytes: the same for the same genome anywhere.
    """

    contigs: dict[str, int]
    counts: EncodingCounts
    digest: str

    @property
    def size(self) -> int:
        """Bases of all contigs."""
        return sum(self.contigs.values())


def map_bytes(path: Path, size: int) -> NDArray[np.uint8]:
    """Map the first ``size`` bytes of a file, read-only (size,)."""
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    return np.frombuffer(mapped, dtype=np.uint8)


def _probe(data: NDArray[np.uint8]) -> str:
    """Return a hash of 256 pages spread over the bytes: all of a small genome, and fast for any."""
    last = max(0, len(data) - _PROBE_BYTES)
    starts = sorted({last * i // (_PROBES - 1) for i in range(_PROBES)})
    state = hashlib.sha256()
    for start in starts:
        state.update(data[start : start + _PROBE_BYTES].data)
    return state.hexdigest()


def write_store(path: Path, key: SourceKey, pieces: Iterable[tuple[str, Encoded]]) -> None:
    """Write a store.

    Args:
        path: The final name.
        key: What it is made from.
        pieces: Contig name and encoded bases with their repeat mask; a contig may come in several
            pieces, one after another.

    Raises:
        OSError: The folder cannot be written or the disk is full; nothing is left behind.
    """
    contigs: dict[str, int] = {}
    counts = EncodingCounts()
    state = hashlib.sha256()
    with replace_when_done(path) as partial, partial.open("wb") as file:
        for name, piece in pieces:
            assert piece.repeat_mask is not None
            coded = piece.ids | piece.repeat_mask * np.uint8(SOFT_MASKED)
            file.write(coded.data)
            state.update(coded.data)
            contigs[name] = contigs.get(name, 0) + len(coded)
            counts += piece.counts
        file.flush()
        state.update(json.dumps(contigs).encode("utf-8"))
        footer = {
            "format": FORMAT,
            "key": asdict(key),
            "contigs": contigs,
            "counts": asdict(counts),
            "digest": state.hexdigest(),
            "probe": _probe(map_bytes(partial, sum(contigs.values()))),
        }
        text = json.dumps(footer).encode("utf-8")
        file.write(text + _END.pack(len(text), _checksum(text), _MARK))
        file.flush()
        os.fsync(file.fileno())


def _checksum(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()[:8]


def _read_json(path: Path) -> tuple[dict[str, Any], int] | None:
    """Return the footer and where it starts, or None when there is no whole one."""
    size = path.stat().st_size
    if size < _END.size:
        return None
    with path.open("rb") as file:
        file.seek(size - _END.size)
        length, checksum, mark = _END.unpack(file.read(_END.size))
        start = size - _END.size - length
        if mark != _MARK or start <= 0:
            return None
        file.seek(start)
        text = file.read(length)
    return (json.loads(text), start) if _checksum(text) == checksum else None


def read_footer(path: Path, key: SourceKey) -> StoreFooter | None:
    """Return what a store holds, or None when it is missing, stale, cut short or damaged.

    Damage to the bytes is looked for in 256 places of 4 kB, so it is always found in a genome of
    up to 1 MB, and when a larger one was overwritten or lost its end.
    """
    try:
        found = _read_json(path)
    except FileNotFoundError:
        return None
    if found is None or found[0].get("format") != FORMAT or found[0].get("key") != asdict(key):
        return None
    values, start = found
    footer = StoreFooter(
        {str(name): int(length) for name, length in values["contigs"].items()},
        EncodingCounts(**values["counts"]),
        values["digest"],
    )
    if footer.size != start or _probe(map_bytes(path, start)) != values["probe"]:
        return None
    return footer
