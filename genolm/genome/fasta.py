"""Random access to the sequences of a FASTA file."""

import hashlib
import os
import shlex
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from genolm.errors import InputError
from genolm.genome.compression import open_decompressed, require_file
from genolm.genome.content import HEAD_BYTES, Compression, compression_of, kind_of
from genolm.genome.fasta_index import fai_text
from genolm.genome.fasta_readers import READERS, SequenceReader, choose_reader
from genolm.genome.index_store import open_index
from genolm.genome.interval import Interval
from genolm.genome.sequence import reverse_complement

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Fasta:
    """A plain or bgzip FASTA file, read by position.

    It may be shared with threads, forked and pickled: every process and thread opens the file for
    itself, on first use.

    Args:
        path: The file. A missing or stale index is built beside it, or in the user's cache when
            the folder is read-only.
        reader: ``"pysam"`` or ``"pyfaidx"``; None takes the first that is installed.

    Attributes:
        path: The file, absolute.
        name: The file's own name.
        reader: Name of the library in use.
        contigs: Contig names and lengths in file order.

    Raises:
        UsageError: There is no such file.
        InputError: The file is no FASTA file that can be read by position.
        ValueError: ``reader`` is unknown or not installed.
    """

    def __init__(self, path: str | Path, *, reader: str | None = None) -> None:
        self.path = require_file(path).absolute()
        self.name = self.path.name
        self.reader = choose_reader(reader)
        self._state = _file_state(self.path)
        self._index = open_index(Path(path), _require_fasta(Path(path)))
        self.contigs = {entry.name: entry.length for entry in self._index.entries}
        self._open = threading.local()
        self._reader()

    def fetch(self, chrom: str, start: int, end: int) -> str:
        """Return bases ``start`` to ``end`` (0-based, half-open), in the case of the file.

        Raises:
            ValueError: There is no such contig, or the span does not lie on it.
            InputError: The file changed, or holds bytes that are no sequence.
        """
        length = self._length_of(chrom)
        if not 0 <= start <= end <= length:
            raise ValueError(
                f"{chrom}:{start}-{end} does not lie on {chrom} of {self.name}, "
                f"which has {length:,} bases"
            )
        if start == end:
            return ""
        sequence = self._reader().fetch(chrom, start, end)
        if len(sequence) != end - start:
            raise InputError(
                f"{self.path}: {chrom}:{start}-{end} holds bytes that are no sequence; remove them"
            )
        return sequence

    def fetch_padded(self, chrom: str, start: int, end: int) -> str:
        """Return bases ``start`` to ``end`` (0-based, half-open), N where they leave the contig.

        Raises:
            ValueError: There is no such contig, or ``start`` is after ``end``.
        """
        length = self._length_of(chrom)
        if start > end:
            raise ValueError(f"{chrom}:{start}-{end} ends before it starts")
        first = min(max(start, 0), length)
        last = max(min(end, length), first)
        left = "N" * (min(end, 0) - min(start, 0))
        right = "N" * (max(end, length) - max(start, length))
        return left + self.fetch(chrom, first, last) + right

    def fetch_interval(self, interval: Interval) -> str:
        """Return the bases of an interval, N outside the contig, reverse-complemented for ``-``."""
        sequence = self.fetch_padded(interval.chrom, interval.start, interval.end)
        return reverse_complement(sequence) if interval.strand == "-" else sequence

    def read_bytes(self, chrom: str) -> "npt.NDArray[np.uint8]":
        """Return a whole contig as ASCII codes (length,), in the case of the file, read-only."""
        import numpy as np

        sequence = self.fetch(chrom, 0, self._length_of(chrom))
        return np.frombuffer(sequence.encode("ascii"), dtype=np.uint8)

    def index_md5(self) -> str:
        """Return the MD5 of the .fai index (hexadecimal): names the assembly in VCF headers."""
        text = fai_text(self._index.entries)
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    def close(self) -> None:
        """Close what this thread has open; the next read opens the file again."""
        reader: SequenceReader | None = getattr(self._open, "reader", None)
        if reader:
            reader.close()
        self._open = threading.local()

    def _length_of(self, chrom: str) -> int:
        length = self.contigs.get(chrom)
        if length is None:
            known = ", ".join(list(self.contigs)[:5])
            more = ", ..." if len(self.contigs) > 5 else ""
            raise ValueError(f"{self.name} has no contig {chrom!r}; it has {known}{more}")
        return length

    def _reader(self) -> SequenceReader:
        """Return the reader of this process and thread: a forked handle shares its position."""
        if getattr(self._open, "process", None) != os.getpid():
            if _file_state(self.path) != self._state:
                raise InputError(f"{self.path} changed after it was opened; start again")
            self._open.reader = READERS[self.reader](self.path, self._index.fai, self._index.gzi)
            self._open.process = os.getpid()
        reader: SequenceReader = self._open.reader
        return reader

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "_open"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _open=threading.local())

    def __repr__(self) -> str:
        return f"Fasta({str(self.path)!r}, reader={self.reader!r})"


def _file_state(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns


def _require_fasta(path: Path) -> Compression:
    """Return the compression of a FASTA file that can be read by position.

    Raises:
        InputError: The file is empty, plain gzip, or something else than FASTA.
    """
    with path.open("rb") as file:
        compression = compression_of(file.read(HEAD_BYTES))
    if compression == "gzip":
        source = shlex.quote(str(path))
        target = shlex.quote(f"{str(path).removesuffix('.gz')}.bgz")
        raise InputError(
            f"{path} is plain gzip, which cannot be read by position; recompress it with: "
            f"gunzip -c {source} | bgzip -c > {target}"
        )
    with open_decompressed(path) as stream:
        head = stream.read(HEAD_BYTES)
    if not head.strip():
        raise InputError(f"{path} is empty; a FASTA file has '>name' lines and bases")
    if not head.lstrip().startswith(b">"):
        kind = kind_of(head) or "something else"
        raise InputError(f"{path} is not a FASTA file but {kind}: it must begin with '>'")
    return compression
