"""A class for every base of a genome's windows: named intervals of a BED file, and the rest."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genolm.data.base_labels import BaseLabels, leave_out
from genolm.data.labelled_set import LabelledSet
from genolm.data.masking import IGNORED
from genolm.errors import InputError
from genolm.genome.bed import read_bed
from genolm.genome.fasta import Fasta
from genolm.genome.interval import Interval

BACKGROUND: Final = "background"
"""Class of the bases that no interval covers."""

MOST_CLASSES: Final = 200
"""More are names of single genes, not of kinds."""


def read_interval_labels(
    path: str | Path, fasta: Fasta, window: int, *, ignore: str | None = None
) -> BaseLabels:
    """Cut the contigs that a BED file names into windows, and label their bases.

    Every contig with an interval is cut from its first base on, the last window being what is left;
    windows without an A, C, G or T, or without a base that counts, are left out. The strand of an
    interval does not count: the genome's own strand is read.

    Args:
        path: BED with a name in its fourth column, which is the class of the interval's bases.
        fasta: The genome.
        window: Bases of a window.
        ignore: Name of intervals whose bases do not count, whatever else covers them; "background"
            is what no interval covers.

    Raises:
        UsageError: There is no such file.
        InputError: An interval without a name, two of different names on one base, or what
            ``read_bed`` refuses.
    """
    intervals = read_bed(path, contigs=fasta.contigs)
    names = _class_names(path, intervals)
    rows = LabelledSet(str(path), [], [], [], [])
    windows: list[Interval] = []
    codes: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    for chrom in dict.fromkeys(interval.chrom for interval in intervals):
        own = [interval for interval in intervals if interval.chrom == chrom]
        contig = _label_contig(path, own, names, fasta.contigs[chrom], ignore)
        for place, bases in _cut(fasta, chrom, window):
            if (contig[place.start : place.end] == IGNORED).all():
                continue
            windows.append(place)
            codes.append(contig[place.start : place.end])
            rows.sequences.append(bases)
            rows.files.append(f"{path}: {chrom}")
            rows.lines.append(place.start + 1)
    if not windows:
        counts = "" if ignore is None else f", or none that is not {ignore!r} (data.ignore)"
        raise InputError(f"{path}: its contigs hold no A, C, G or T{counts}")
    kept = tuple(name for name in names if name != ignore)
    return BaseLabels(rows.checked(), kept, np.concatenate(codes), tuple(windows))


def _class_names(path: str | Path, intervals: Sequence[Interval]) -> tuple[str, ...]:
    nameless = next((one for one in intervals if not one.name), None)
    if nameless is not None:
        raise InputError(
            f"{path}: {_say(nameless)} has no name; the fourth column is the class of its bases"
        )
    names = {BACKGROUND, *(str(interval.name) for interval in intervals)}
    if len(names) > MOST_CLASSES:
        raise InputError(
            f"{path}: {len(names):,} different names in the fourth column, which is the class of an"
            f" interval's bases; {MOST_CLASSES} at most"
        )
    return tuple(sorted(names))


def _label_contig(
    path: str | Path,
    intervals: Sequence[Interval],
    names: tuple[str, ...],
    length: int,
    ignore: str | None,
) -> NDArray[np.int64]:
    """Return the number of every base's class (length,) among the names that count."""
    background = names.index(BACKGROUND)
    codes = np.full(length, background, dtype=np.int64)
    covered = np.zeros(length, dtype=np.bool_)
    for interval in sorted(intervals, key=lambda one: one.name == ignore):
        bases = slice(interval.start, interval.end)
        own = names.index(str(interval.name))
        other = np.flatnonzero(covered[bases] & (codes[bases] != own))
        if len(other) and interval.name != ignore:
            base = interval.start + int(other[0])
            raise InputError(
                f"{path}: {interval.chrom}:{base + 1} is both {names[codes[base]]!r} and"
                f" {interval.name!r}; a base has one class"
            )
        codes[bases], covered[bases] = own, True
    return leave_out(names, codes, ignore)[1]


def _cut(fasta: Fasta, chrom: str, window: int) -> Iterator[tuple[Interval, str]]:
    length = fasta.contigs[chrom]
    for start in range(0, length, window):
        place = Interval(chrom, start, min(start + window, length))
        bases = fasta.fetch(chrom, place.start, place.end)
        if bases.upper().strip("N"):
            yield place, bases


def _say(interval: Interval) -> str:
    return f"{interval.chrom}:{interval.start + 1}-{interval.end}"
