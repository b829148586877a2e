"""Where the index of a FASTA file is kept, and whether it may be believed."""

import errno
import hashlib
import io
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from genolm.atomic import replace_when_done
from genolm.errors import InputError
from genolm.genome.cache import cache_location
from genolm.genome.compression import GunzipStream
from genolm.genome.content import Compression
from genolm.genome.fasta_index import FaiEntry, fai_text, parse_fai, scan_fasta
from genolm.genome.random_access import SpanReader, gzi_bytes, read_gzi

_LOG = logging.getLogger(__name__)
_CHECKED_CONTIGS = 200
_NO_PLACE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR}
_NEWLINES = (b"\n", b"\r\n")


class FastaIndex(NamedTuple):
    """The index of a FASTA file and where it lies.

    Attributes:
        entries: The contigs in file order.
        fai: The .fai file.
        gzi: The .gzi file of a bgzip FASTA, else None.
    """

    entries: tuple[FaiEntry, ...]
    fai: Path
    gzi: Path | None


def open_index(path: Path, compression: Compression) -> FastaIndex:
    """Return a current index of a FASTA file, building it when there is none.

    An index older than the FASTA, or one that does not fit its size or headers, is rebuilt: beside
    the file, or in the user's cache when that folder is read-only.

    Args:
        path: A plain or bgzip FASTA file.
        compression: Which of the two.

    Raises:
        InputError: The file cannot be indexed, or the index can be written nowhere.
    """
    for place in _places(path):
        index = _load(place, path, compression)
        if index:
            return index
    entries, gzi = _scan(path, compression)
    for place in _places(path):
        try:
            return _write(place, path, entries, gzi)
        except OSError as error:
            if error.errno not in _NO_PLACE:
                raise
    raise InputError(
        f"{path}: its index can be written neither beside it nor in the cache; set GENOLM_CACHE to "
        "a folder that is writable"
    )


def _places(path: Path) -> Iterator[Path]:
    """Yield the names to which .fai and .gzi are appended, best first."""
    yield path
    state = path.stat()
    key = f"{path.absolute()}\n{state.st_size}\n{state.st_mtime_ns}"
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    yield cache_location() / "fasta-index" / f"{digest}.{path.name}"


def _files(place: Path, compression: Compression) -> tuple[Path, Path | None]:
    fixed = place.absolute()  # the index outlives a change of the working directory
    gzi = fixed.with_name(place.name + ".gzi") if compression == "bgzip" else None
    return fixed.with_name(place.name + ".fai"), gzi


def _load(place: Path, path: Path, compression: Compression) -> FastaIndex | None:
    """Return the index kept at ``place``, or None when it is missing, stale or wrong."""
    fai, gzi = _files(place, compression)
    files = [file for file in (fai, gzi) if file]
    if not all(os.access(file, os.R_OK) for file in files):
        return None
    if any(file.stat().st_mtime_ns < path.stat().st_mtime_ns for file in files):
        _LOG.info("%s is older than %s: indexing again", fai, path)
        return None
    try:
        entries = parse_fai(fai.read_text(encoding="utf-8"))
        blocks = read_gzi(gzi) if gzi else None
        with SpanReader(path, blocks) as spans:
            fits = _fits(entries, spans)
    except ValueError as error:  # DamagedInputError too: the scan then says where
        _LOG.info("%s cannot be used (%s): indexing again", fai, error)
        return None
    if not fits:
        _LOG.info("%s does not describe %s: indexing again", fai, path)
    return FastaIndex(entries, fai, gzi) if fits else None


def _fits(entries: tuple[FaiEntry, ...], spans: SpanReader) -> bool:
    """Say whether headers, line ends and the end of the file are where the index has them.

    Between two contigs stands exactly one header. A sequence that the index leaves out widens the
    gap, so the widest gaps are looked at first in files of very many contigs.
    """
    starts = [0, *(entry.end for entry in entries)]
    gaps = list(zip(starts[:-1], entries, strict=True))
    names = {entry.name for entry in entries}
    if len(names) < len(entries) or any(entry.offset <= start for start, entry in gaps):
        return False
    if len(gaps) > _CHECKED_CONTIGS:
        gaps.sort(key=lambda gap: gap[0] - gap[1].offset)
        gaps = sorted(gaps[:_CHECKED_CONTIGS])
    if spans.read(starts[-1]).strip():
        return False
    return all(_header_fits(*gap, spans) and _lines_fit(gap[1], spans) for gap in gaps)


def _header_fits(start: int, entry: FaiEntry, spans: SpanReader) -> bool:
    gap = spans.read(start, entry.offset - start).lstrip()
    header, newline, rest = gap.partition(b"\n")
    words = header[1:].split(maxsplit=1)
    if not (header.startswith(b">") and newline and not rest and words):
        return False
    return words[0] == entry.name.encode()


def _lines_fit(entry: FaiEntry, spans: SpanReader) -> bool:
    if entry.length and not spans.read(entry.end - 1, 1).strip():
        return False
    if entry.length <= entry.line_bases:
        return True
    line_end = spans.read(entry.offset + entry.line_bases, entry.line_width - entry.line_bases)
    return line_end in _NEWLINES


def _scan(path: Path, compression: Compression) -> tuple[tuple[FaiEntry, ...], bytes | None]:
    """Return the contigs and, for bgzip, the .gzi bytes, from one pass over the file."""
    with path.open("rb") as file:
        if compression == "plain":
            entries = tuple(scan_fasta(file, str(path)))
            gzi = None
        else:
            stream = GunzipStream(file, str(path), bgzip=True)
            lines = io.BufferedReader(stream, 1 << 18)
            entries = tuple(scan_fasta(lines, str(path)))
            gzi = gzi_bytes(stream.members, stream.size)
    if not any(entry.length for entry in entries):
        raise InputError(f"{path}: holds no sequence (a FASTA file has '>name' lines and bases)")
    return entries, gzi


def _write(
    place: Path, path: Path, entries: tuple[FaiEntry, ...], gzi_data: bytes | None
) -> FastaIndex:
    """Write the index files at ``place``, each whole or not at all."""
    fai, gzi = _files(place, "plain" if gzi_data is None else "bgzip")
    if place != path:
        place.parent.mkdir(parents=True, exist_ok=True)
    if gzi and gzi_data is not None:
        _write_file(gzi, gzi_data, path)
    _write_file(fai, fai_text(entries).encode(), path)
    _LOG.info("indexed %s in %s", path, fai)
    return FastaIndex(entries, fai, gzi)


def _write_file(file: Path, data: bytes, path: Path) -> None:
    # A FASTA dated in the future would otherwise make its index stale for ever.
    stamp = max(time.time_ns(), path.stat().st_mtime_ns)
    with replace_when_done(file) as partial:
        partial.write_bytes(data)
        os.utime(partial, ns=(stamp, stamp))
