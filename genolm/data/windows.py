"""Windows of one length on a genome, as arrays."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from genolm.data.genome_store import GenomeStore
from genolm.errors import InputError
from genolm.genome.interval import Interval

SHORT: Final = "shorter than the window"
MANY_N: Final = "with too many N"


@dataclass(frozen=True)
class WindowSet:
    """Windows of one length.

    Attributes:
        contigs: Names that ``chrom`` counts in.
        chrom: Number of each window's contig (windows,).
        start: First base of each window, 0-based (windows,).
        low: Smallest start that a shifted window may have (windows,).
        high: Largest such start (windows,).
        length: Bases of every window.
        dropped: How many regions or windows were left out, by reason.
    """

    contigs: tuple[str, ...]
    chrom: NDArray[np.int32]
    start: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    length: int
    dropped: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, index: int) -> Interval:
        start = int(self.start[index])
        return Interval(self.contigs[self.chrom[index]], start, start + self.length)

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Self:
        """Return the chosen windows, by number or by a mask (windows,)."""
        return replace(
            self,
            chrom=self.chrom[chosen],
            start=self.start[chosen],
            low=self.low[chosen],
            high=self.high[chosen],
        )

    def spread(self, count: int) -> Self:
        """Return at most ``count`` windows, evenly spread over all."""
        kept = min(count, len(self))
        return self.take(np.arange(kept, dtype=np.int64) * len(self) // max(1, kept))

    def reachable(self) -> list[Interval]:
        """Return the stretches of the genome that windows, shifted or not, can show, merged."""
        return self._merge(self.low, self.high + self.length)

    def covered(self) -> list[Interval]:
        """Return the stretches of the genome under the windows as they stand, merged."""
        return self._merge(self.start, self.start + self.length)

    def _merge(self, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> list[Interval]:
        merged: list[Interval] = []
        for number in np.unique(self.chrom):
            mine = np.flatnonzero(self.chrom == number)
            mine = mine[np.argsort(starts[mine], kind="stable")]
            reach = np.maximum.accumulate(ends[mine])
            first = np.flatnonzero(np.append(True, starts[mine][1:] > reach[:-1]))
            last = np.append(first[1:], len(mine)) - 1
            name = self.contigs[number]
            edges = zip(starts[mine][first].tolist(), reach[last].tolist(), strict=True)
            merged.extend(Interval(name, start, end) for start, end in edges)
        return merged

    def places(self, store: GenomeStore) -> NDArray[np.int64]:
        """Return where each window begins, in bases from the genome's beginning (windows,)."""
        offsets = np.array([store.offset(name) for name in self.contigs], dtype=np.int64)
        return offsets[self.chrom] + self.start

    def filter_by_n(self, store: GenomeStore, max_n_fraction: float) -> Self:
        """Return the windows whose share of N is at most ``max_n_fraction``."""
        n_bases = np.zeros(len(self), dtype=np.int64)
        for number in np.unique(self.chrom):
            mine = self.chrom == number
            first = self.start[mine]
            runs = store.n_runs(self.contigs[number])
            n_bases[mine] = count_before(first + self.length, *runs) - count_before(first, *runs)
        kept = n_bases <= max_n_fraction * self.length
        lost = len(self) - int(kept.sum())
        dropped = self.dropped | ({MANY_N: lost} if lost else {})
        return replace(self.take(kept), dropped=dropped)

    def require(self, purpose: str) -> Self:
        """Return the set itself.

        Raises:
            InputError: It is empty; the message says what was left out and why.
        """
        if len(self):
            return self
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.dropped.items())
        raise InputError(
            f"no window of {self.length:,} bases left for {purpose}"
            f" (left out: {reasons or 'nothing, there was no region'});"
            " choose a smaller length, other contigs or a larger max_n_fraction"
        )


def count_before(
    places: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Count the bases of some stretches before each place.

    Args:
        places: Positions of a contig, counted from 0 (places,).
        starts: First base of each stretch, ascending; stretches do not overlap (stretches,).
        ends: One past the last base of each (stretches,).

    Returns:
        Bases (places,).
    """
    before = np.append(0, np.cumsum(ends - starts))
    run = np.searchsorted(starts, places, side="right")
    inside = np.maximum(np.append(0, ends)[run] - places, 0)
    return before[run] - inside


def _starts_in(region: Interval, length: int, stride: int) -> NDArray[np.int64]:
    return np.arange(region.start, region.end - length + 1, stride, dtype=np.int64)


def from_regions(regions: Iterable[Interval], length: int, stride: int | None = None) -> WindowSet:
    """Cut regions into windows; what is left at a region's end is not used.

    Args:
        regions: Stretches of the genome. Those shorter than ``length`` give no window and are
            counted.
        length: Bases of a window.
        stride: Bases between the starts of two windows; None for ``length``.

    Raises:
        ValueError: ``length`` or ``stride`` is not positive.
    """
    stride = length if stride is None else stride
    if length < 1 or stride < 1:
        raise ValueError(f"length and stride must be at least 1, got {length} and {stride}")
    names: dict[str, int] = {}
    parts: list[tuple[NDArray[np.int64], int, Interval]] = []
    short = 0
    for region in regions:
        starts = _starts_in(region, length, stride)
        short += not len(starts)
        if len(starts):
            parts.append((starts, names.setdefault(region.chrom, len(names)), region))
    sizes = [len(starts) for starts, _, _ in parts]
    return WindowSet(
        contigs=tuple(names),
        chrom=np.repeat(np.array([number for _, number, _ in parts], dtype=np.int32), sizes),
        start=np.concatenate([starts for starts, _, _ in parts] or [np.zeros(0, dtype=np.int64)]),
        low=np.repeat(np.array([r.start for _, _, r in parts], dtype=np.int64), sizes),
        high=np.repeat(np.array([r.end - length for _, _, r in parts], dtype=np.int64), sizes),
        length=length,
        dropped={SHORT: short} if short else {},
    )


def make_windows(
    contigs: Mapping[str, int],
    length: int,
    stride: int | None = None,
    chroms: Sequence[str] | None = None,
) -> WindowSet:
    """Cut whole contigs into windows.

    Args:
        contigs: Length of each contig in bases.
        length: Bases of a window.
        stride: Bases between the starts of two windows; None for ``length``.
        chroms: Contigs to cut, by their own names; None for all.

    Raises:
        InputError: No contig is as long as a window.
    """
    chosen = list(contigs) if chroms is None else list(chroms)
    windows = from_regions([Interval(name, 0, contigs[name]) for name in chosen], length, stride)
    if not len(windows) and chosen:
        longest = max(chosen, key=lambda name: contigs[name])
        raise InputError(
            f"no contig is as long as a window of {length:,} bases: the longest is {longest}"
            f" with {contigs[longest]:,}; choose a smaller length"
        )
    return windows
