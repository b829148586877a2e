"""What the rows of a BED file mean as windows: stretches to fill, or one place each.

The published human split (Basenji2 and Enformer's intervals, which HyenaDNA and Caduceus took over)
has rows of 131,072 bases, ``chrom start end split``, and each paper makes something else of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Literal

from genolm.genome.interval import Interval

BedLayout = Literal["tile", "centre", "hyenadna", "caduceus"]

CADUCEUS_BASES: Final = 1 << 20
"""What Caduceus makes of a row: this many bases from its start."""


def lay_out(
    rows: Sequence[Interval],
    regions: Sequence[Interval],
    length: int,
    layout: BedLayout = "tile",
) -> list[Interval]:
    """Return the stretches that are cut into windows.

    Args:
        rows: Of the BED file.
        regions: Where windows may lie, such as whole contigs; apart from each other.
        length: Bases of a window.
        layout: ``tile``: rows are merged and filled with windows, and one shorter than a window is
            grown to one around its centre. ``centre``: every row is one window, cut or grown around
            its centre. ``hyenadna``: every row is one window, its first ``length`` bases, or grown
            around its centre. ``caduceus``: every row becomes the 2 ** 20 bases from its start,
            filled with windows. What would leave its region is moved inside.

    Returns:
        The stretches; the rows of all but ``tile`` stay apart, also where they overlap.
    """
    if layout == "tile":
        return _fill(regions, rows, length)
    make = _MAKERS[layout]
    by_contig: dict[str, list[Interval]] = {}
    for region in regions:
        by_contig.setdefault(region.chrom, []).append(region)
    stretches = []
    for row in rows:
        centre = (row.start + row.end) // 2
        for region in by_contig.get(row.chrom, ()):
            if region.start <= centre < region.end:
                stretches.append(_move_inside(make(row, length), region))
    return stretches


def _merge(rows: Sequence[Interval]) -> dict[str, list[Interval]]:
    """Return the rows by contig, those that overlap made one."""
    merged: dict[str, list[Interval]] = {}
    for row in sorted(rows, key=lambda row: (row.chrom, row.start)):
        mine = merged.setdefault(row.chrom, [])
        if mine and row.start < mine[-1].end:
            mine[-1] = replace(mine[-1], end=max(mine[-1].end, row.end))
        else:
            mine.append(Interval(row.chrom, row.start, row.end))
    return merged


def _fill(regions: Sequence[Interval], rows: Sequence[Interval], length: int) -> list[Interval]:
    """Return what BED rows leave of the regions; a row shorter than a window is grown to one."""
    merged = _merge(rows)
    pieces: list[Interval] = []
    for region in regions:
        for row in merged.get(region.chrom, []):
            start, end = max(row.start, region.start), min(row.end, region.end)
            if start >= end:
                continue
            piece = Interval(row.chrom, start, end)
            if piece.length < length <= region.length:
                piece = _move_inside(piece.resize(length), region)
            pieces.append(piece)
    return pieces


def _move_inside(piece: Interval, region: Interval) -> Interval:
    """Return a piece moved into its region, and cut where the region is shorter."""
    length = min(piece.length, region.length)
    start = min(max(piece.start, region.start), region.end - length)
    return Interval(region.chrom, start, start + length)


def _around(row: Interval, length: int) -> Interval:
    start = row.start - (length - row.length) // 2  # the larger half goes to the right
    return Interval(row.chrom, start, start + length)


def _first_bases(row: Interval, length: int) -> Interval:
    if row.length < length:
        return _around(row, length)
    return Interval(row.chrom, row.start, row.start + length)


def _mebibase(row: Interval, length: int) -> Interval:
    return Interval(row.chrom, row.start, row.start + CADUCEUS_BASES)


_MAKERS: Final[dict[str, Callable[[Interval, int], Interval]]] = {
    "centre": _around,
    "hyenadna": _first_bases,
    "caduceus": _mebibase,
}
