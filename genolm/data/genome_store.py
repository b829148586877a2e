"""A whole genome as token ids in memory-mapped bytes, decoded once."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from genolm.data.store_file import SourceKey, StoreFooter, map_bytes, read_footer, write_store
from genolm.errors import InputError, UsageError
from genolm.genome.cache import cache_folder
from genolm.genome.fasta import Fasta
from genolm.tokenization.encode import SOFT_MASKED, Encoded, encode
from genolm.tokenization.vocabulary import N

_PIECE: Final = 1 << 24
_SCANNED: Final = 1 << 16  # most pieces of a genome hold no N, and are passed over quickly
_READ_ONLY: Final = (errno.EACCES, errno.EPERM, errno.EROFS)


class GenomeStore:
    """Token ids of a genome; make one with :func:`open_store`.

    It may be sent to other processes: each maps the file anew.

    Attributes:
        fasta: The FASTA it was decoded from.
        path: The store's own file.
        contigs: Length of each contig in bases, in file order.
        counts: Letters of the FASTA that were not plainly A, C, G or T.
        digest: SHA-256 of the content.
        built: Whether the FASTA was decoded just now.
    """

    def __init__(self, fasta: Path, path: Path, footer: StoreFooter, *, built: bool) -> None:
        self.fasta = fasta
        self.path = path
        self.contigs = footer.contigs
        self.counts = footer.counts
        self.digest = footer.digest
        self.built = built
        ends = np.cumsum(list(footer.contigs.values())).tolist()
        self._starts: dict[str, int] = dict(zip(footer.contigs, [0, *ends[:-1]], strict=True))
        self._size = footer.size
        self._data: NDArray[np.uint8] | None = map_bytes(path, footer.size)

    @property
    def _bytes(self) -> NDArray[np.uint8]:
        if self._data is None:
            raise ValueError(f"{self.path}: the genome store is closed")
        return self._data

    def _strip(self, coded: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return coded & np.uint8(0x7F) if self.counts.soft_masked else coded

    def offset(self, chrom: str) -> int:
        """Return where a contig begins, in bases from the beginning of the genome."""
        if chrom not in self._starts:
            raise ValueError(f"{self.fasta.name} has no contig {chrom!r}")
        return self._starts[chrom]

    def _slice(self, chrom: str, start: int, end: int | None) -> NDArray[np.uint8]:
        offset = self.offset(chrom)
        length = self.contigs[chrom]
        end = length if end is None else end
        if not 0 <= start <= end <= length:
            raise ValueError(f"{chrom}:{start}-{end} is outside the contig of {length} bases")
        return self._bytes[offset + start : offset + end]

    def ids(self, chrom: str, start: int = 0, end: int | None = None) -> NDArray[np.uint8]:
        """Return token ids (end - start,), values 7 to 11, for reading only.

        Args:
            chrom: Contig, as the FASTA names it.
            start: First base, counted from 0.
            end: One past the last base; None for the contig's end.

        Raises:
            ValueError: The contig is unknown or the range leaves it.
        """
        return self._strip(self._slice(chrom, start, end))

    def repeat_mask(self, chrom: str, start: int = 0, end: int | None = None) -> NDArray[np.bool_]:
        """Return True where the FASTA is in lower case (end - start,)."""
        return self._slice(chrom, start, end) >= SOFT_MASKED

    def gather(self, places: NDArray[np.int64], length: int) -> NDArray[np.uint8]:
        """Return windows as one array.

        Args:
            places: Where each window begins, in bases from the beginning of the genome (batch,).
            length: Bases of each.

        Returns:
            Token ids (batch, length).
        """
        data = self._bytes
        out = np.empty((len(places), length), dtype=np.uint8)
        for row, place in enumerate(places.tolist()):
            out[row] = data[place : place + length]
        if self.counts.soft_masked:
            out &= np.uint8(0x7F)
        return out

    def gather_repeats(self, places: NDArray[np.int64], length: int) -> NDArray[np.bool_]:
        """Return where windows are in lower case (batch, length); see ``gather``."""
        data = self._bytes
        out = np.empty((len(places), length), dtype=np.bool_)
        for row, place in enumerate(places.tolist()):
            out[row] = data[place : place + length] >= SOFT_MASKED
        return out

    def n_runs(self, chrom: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where the stretches of N of a contig begin and end (runs,), half-open."""
        length = self.contigs[chrom]
        edges: list[NDArray[np.int64]] = []
        before = False
        for at in range(0, length, _SCANNED):
            is_n = self.ids(chrom, at, min(at + _SCANNED, length)) == N
            if is_n[0] != before:
                edges.append(np.array([at]))
            before = bool(is_n[-1])
            if is_n.any() != is_n.all():
                edges.append(at + 1 + np.flatnonzero(is_n[1:] != is_n[:-1]))
        if before:
            edges.append(np.array([length]))
        joined = np.concatenate([np.zeros(0, dtype=np.int64), *edges])
        return joined[::2], joined[1::2]

    def close(self) -> None:
        """Let go of the file; the arrays given out stay valid."""
        self._data = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_data": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        footer = read_footer(self.path, SourceKey.of(self.fasta))
        if footer is None or footer.digest != self.digest:
            raise InputError(f"{self.fasta}: changed while it was in use; start again")
        self._data = map_bytes(self.path, self._size)


def _decode_fasta(fasta: Path) -> Iterator[tuple[str, Encoded]]:
    with Fasta(fasta) as reader:
        for chrom in reader.contigs:
            letters = reader.read_bytes(chrom)
            source = f"{fasta}: contig {chrom}"
            for at in range(0, max(1, len(letters)), _PIECE):
                piece = letters[at : at + _PIECE]
                yield chrom, encode(piece, repeat_mask=True, source=source, offset=at)


def _may_write(folder: Path) -> bool:
    # Root passes every access check, but a folder without a write bit is meant to stay as it is.
    bits = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
    return os.access(folder, os.W_OK) and bool(folder.stat().st_mode & bits)


def _tagged(fasta: Path, folder: Path) -> Path:
    tag = hashlib.sha256(str(fasta.resolve()).encode()).hexdigest()[:12]
    return folder / f"{fasta.name}.{tag}.gstore"


def _build_beside(fasta: Path, key: SourceKey, path: Path) -> bool:
    if not _may_write(path.parent):
        return False
    try:
        write_store(path, key, _decode_fasta(fasta))
    except OSError as error:
        if error.errno in _READ_ONLY:
            return False
        raise
    return True


def _find_or_build(fasta: Path, key: SourceKey, folder: Path | None) -> tuple[Path, bool]:
    """Return the path of a valid store and whether it was made just now."""
    if folder is None:
        beside = fasta.with_name(f"{fasta.name}.gstore")
        if read_footer(beside, key) is not None:
            return beside, False
        if _build_beside(fasta, key, beside):
            return beside, True
        folder = cache_folder()
    elsewhere = _tagged(fasta, folder)
    if read_footer(elsewhere, key) is not None:
        return elsewhere, False
    folder.mkdir(parents=True, exist_ok=True)
    write_store(elsewhere, key, _decode_fasta(fasta))
    return elsewhere, True


def open_store(fasta: str | Path, *, folder: str | Path | None = None) -> GenomeStore:
    """Open a genome as token ids, decoding the FASTA the first time.

    The store is ``<fasta>.gstore`` beside the FASTA, or in the user's cache when that folder is
    read-only. A store that is stale (the FASTA's path, size or time differ), cut short or damaged
    is made again. Any number of processes may open the same FASTA at once.

    Args:
        fasta: The genome, plain or bgzip.
        folder: Keep the store here instead.

    Raises:
        UsageError: There is no such file.
        InputError: The file is not a FASTA of DNA; the message says where.
    """
    path = Path(fasta)
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    key = SourceKey.of(path)
    place, built = _find_or_build(path, key, None if folder is None else Path(folder))
    footer = read_footer(place, key)
    if footer is None or SourceKey.of(path) != key:
        raise InputError(f"{path}: changed while it was being read; start again")
    return GenomeStore(path, place, footer, built=built)
