"""Which parts of a split share bases, and how many."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from genolm.data.windows import WindowSet, count_before
from genolm.errors import InputError
from genolm.genome.interval import Interval

Edges = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True)
class Overlap:
    """What two parts have in common.

    Attributes:
        parts: Their names.
        bases: Bases of the genome that windows of both can show, shifted ones included.
        windows: Windows of each, as they stand, with such a base.
        of: Windows of each in all.
        first: The first stretch that they share.
    """

    parts: tuple[str, str]
    bases: int
    windows: tuple[int, int]
    of: tuple[int, int]
    first: Interval

    def __str__(self) -> str:
        """Say it in a line."""
        place = f"{self.first.chrom}:{self.first.start:,}-{self.first.end:,}"
        under = " and ".join(
            f"{some:,} of {every:,} {part} windows"
            for part, some, every in zip(self.parts, self.windows, self.of, strict=True)
        )
        return (
            f"{' and '.join(self.parts)} share bases at {place} (counted from 0),"
            f" {self.bases:,} in all, under {under}"
        )


def find_overlaps(splits: Mapping[str, WindowSet]) -> list[Overlap]:
    """Return which of the parts share bases, each pair of them once."""
    reach = {name: _by_contig(windows.reachable()) for name, windows in splits.items()}
    found = []
    for one, other in combinations(splits, 2):
        shared = list(_shared_stretches(reach[one], reach[other]))
        if shared:
            stretches = _by_contig(shared)
            counts = [_count_under(splits[name], stretches) for name in (one, other)]
            found.append(
                Overlap(
                    (one, other),
                    sum(stretch.length for stretch in shared),
                    (counts[0], counts[1]),
                    (len(splits[one]), len(splits[other])),
                    shared[0],
                )
            )
    return found


def check_disjoint(splits: Mapping[str, WindowSet]) -> None:
    """Refuse splits that share bases.

    Raises:
        InputError: Windows of two splits overlap; the message says where, and how many.
    """
    if found := find_overlaps(splits):
        raise InputError(
            f"{'; '.join(map(str, found))}: move the regions apart, choose a length that they hold,"
            " or go on all the same with data.overlap=warn"
        )


def _by_contig(stretches: list[Interval]) -> dict[str, Edges]:
    edges: dict[str, list[tuple[int, int]]] = {}
    for stretch in stretches:
        edges.setdefault(stretch.chrom, []).append((stretch.start, stretch.end))
    return {chrom: _columns(pairs) for chrom, pairs in edges.items()}


def _columns(pairs: list[tuple[int, int]]) -> Edges:
    starts, ends = np.array(sorted(pairs), dtype=np.int64).T
    return starts, ends


def _shared_stretches(one: Mapping[str, Edges], other: Mapping[str, Edges]) -> Iterator[Interval]:
    """Yield what two sets of stretches, each apart from one another, have in common."""
    for chrom in sorted(one.keys() & other.keys()):
        (starts, ends), (others, others_end) = one[chrom], other[chrom]
        low = np.searchsorted(others_end, starts, side="right")
        high = np.searchsorted(others, ends, side="left")
        for start, end, first, last in zip(starts, ends, low, high, strict=True):
            for at in range(first, last):
                yield Interval(chrom, int(max(start, others[at])), int(min(end, others_end[at])))


def _count_under(windows: WindowSet, stretches: Mapping[str, Edges]) -> int:
    """Count the windows that hold a base of the stretches."""
    count = 0
    for number, name in enumerate(windows.contigs):
        if name in stretches:
            start = windows.start[windows.chrom == number]
            ends = count_before(start + windows.length, *stretches[name])
            count += int((ends > count_before(start, *stretches[name])).sum())
    return count
