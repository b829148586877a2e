"""Read BED files: 0-based half-open intervals, as everywhere in genolm."""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from genolm.errors import InputError
from genolm.genome.aliases import ContigResolver
from genolm.genome.compression import open_decompressed, source_name
from genolm.genome.interval import Interval

_NOT_DATA = ("#", "track", "browser")
_STRANDS = {"+": "+", "-": "-", ".": "+"}


def read_bed(path: str | Path, *, contigs: Mapping[str, int] | None = None) -> list[Interval]:
    """Read the intervals of a BED file of three columns or more.

    Column 4 is the name and column 6 the strand (``.`` is read as ``+``); later columns are left
    out, and so are comments and track and browser lines.

    Args:
        path: Plain, gzip or bgzip file, or ``"-"`` for standard input.
        contigs: Names and lengths of the genome's contigs. When given, the intervals carry the
            genome's names (aliases such as chr1 and 1 are resolved) and must lie on its contigs.

    Raises:
        UsageError: There is no such file.
        InputError: A line is malformed, names an unknown contig or leaves its contig, or the file
            holds no interval; the message names the line.
    """
    return [interval for interval, _ in _intervals(path, contigs)]


def read_split_bed(
    path: str | Path, *, contigs: Mapping[str, int] | None = None
) -> dict[str, list[Interval]]:
    """Read HyenaDNA's four-column BED, ``chrom start end split``, as intervals by split.

    Args:
        path: Plain, gzip or bgzip file, or ``"-"`` for standard input.
        contigs: Names and lengths of the genome's contigs; see ``read_bed``.

    Returns:
        The intervals of each split, splits and intervals in file order.

    Raises:
        UsageError: There is no such file.
        InputError: As for ``read_bed``, and where a line has no fourth column.
    """
    splits: dict[str, list[Interval]] = {}
    for interval, place in _intervals(path, contigs):
        if interval.name is None:
            raise InputError(
                f"{place}: no fourth column, which names the split (train, valid, test)"
            )
        splits.setdefault(interval.name, []).append(interval)
    return splits


def _intervals(
    path: str | Path, contigs: Mapping[str, int] | None
) -> Iterator[tuple[Interval, str]]:
    resolver = None if contigs is None else ContigResolver(contigs)
    found = False
    for place, fields in _rows(path):
        found = True
        chrom, start, end = _span(fields, place)
        if resolver and contigs:
            chrom = _on_genome(chrom, end, resolver, contigs, place)
        name = fields[3] if len(fields) > 3 else None
        strand = fields[5] if len(fields) > 5 else "."
        if strand not in _STRANDS:
            raise InputError(f"{place}: strand {strand!r} is none of + - .")
        yield Interval(chrom, start, end, _STRANDS[strand], name), place
    if not found:
        raise InputError(f"{source_name(path)}: holds no interval")


def _rows(path: str | Path) -> Iterator[tuple[str, list[str]]]:
    source = source_name(path)
    with io.TextIOWrapper(open_decompressed(path), "utf-8", "surrogateescape", "\n") as lines:
        for number, text in enumerate(lines, 1):
            line = text.rstrip("\r\n")
            if line.strip() and not line.startswith(_NOT_DATA):
                yield f"{source}:{number}", line.split("\t" if "\t" in line else None)


def _span(fields: list[str], place: str) -> tuple[str, int, int]:
    if len(fields) < 3:
        raise InputError(f"{place}: {len(fields)} column(s); BED needs chrom, start and end")
    chrom, *bounds = fields[:3]
    if not all(bound.isascii() and bound.isdigit() for bound in bounds):
        raise InputError(
            f"{place}: start {bounds[0]!r} and end {bounds[1]!r} must be whole numbers"
        )
    start, end = map(int, bounds)
    if start >= end:
        raise InputError(f"{place}: end {end} must be greater than start {start}")
    return chrom, start, end


def _on_genome(
    chrom: str, end: int, resolver: ContigResolver, contigs: Mapping[str, int], place: str
) -> str:
    known = resolver.resolve(chrom)
    if known is None:
        raise InputError(f"{place}: contig {chrom!r} is not in the genome; remove the line")
    if end > contigs[known]:
        raise InputError(
            f"{place}: the interval ends at {end:,}, but {known} has {contigs[known]:,} bases "
            "(another genome build?)"
        )
    return known
