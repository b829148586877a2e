"""Open reading frames of a genome and the windows that the demo labels by them.

Coordinates are 0-based half-open on the forward strand. Bases are numbers: A, C, G, T = 0, 1, 2, 3.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

WINDOW = 200
STEP = 100
LONG_ORF = 600
SHORT_ORF = {"ATG": 180, "GTG": 300, "TTG": 300}
MARGIN = 150
UNIQUE = 32
STOPS = ("TAA", "TAG", "TGA")


@dataclass(frozen=True, order=True)
class Orf:
    """An open reading frame from its start codon to its stop codon, both included."""

    start: int
    end: int
    strand: str

    @property
    def length(self) -> int:
        """Number of bases."""
        return self.end - self.start


def order_by_hash(keys: Iterable[str]) -> list[str]:
    """Shuffle in a way that is the same with every version of every library."""
    return sorted(keys, key=lambda key: sha256(key.encode()).digest())


def as_numbers(sequence: str) -> NDArray[np.int64]:
    """Bases (length,) of an upper-case sequence of A, C, G and T."""
    table = np.zeros(256, dtype=np.int64)
    table[[ord(base) for base in "ACGT"]] = range(4)
    return table[np.frombuffer(sequence.encode("ascii"), dtype=np.uint8)]


def find_orfs(bases: NDArray[np.int64], shortest: dict[str, int]) -> list[Orf]:
    """Find, for each start codon, the frames from its first occurrence after a stop to the next.

    Args:
        bases: The genome (length,), taken as linear.
        shortest: Least length for each start codon; a frame is tried with each of them.

    Returns:
        Frames of both strands, sorted, duplicates removed.
    """
    size = len(bases)
    found = set()
    for strand, strand_bases in (("+", bases), ("-", 3 - bases[::-1])):
        codons = strand_bases[:-2] * 16 + strand_bases[1:-1] * 4 + strand_bases[2:]
        stops = np.isin(codons, _codes(STOPS))
        # Each codon opens a frame together with those that may be shorter: ATG alone reads
        # "from the first ATG", GTG reads "from the first of ATG, GTG, TTG".
        for least in set(shortest.values()):
            opening = [codon for codon, length in shortest.items() if length <= least]
            starts = np.isin(codons, _codes(opening))
            for start, end in _frames(starts, stops):
                if end - start >= least:
                    ends = (start, end) if strand == "+" else (size - end, size - start)
                    found.add(Orf(*ends, strand))
    return sorted(found)


def _codes(codons: Iterable[str]) -> list[int]:
    """Codons as numbers in base 4."""
    return [int(np.dot(as_numbers(codon), (16, 4, 1))) for codon in codons]


def _frames(starts: NDArray[np.bool_], stops: NDArray[np.bool_]) -> Iterable[tuple[int, int]]:
    """Yield (start of the first start codon, end of the stop codon) between neighbouring stops."""
    for phase in range(3):
        stop_at = np.flatnonzero(stops[phase::3])
        start_at = np.flatnonzero(starts[phase::3])
        opened_at = np.concatenate([[-1], stop_at[:-1]])
        first = np.searchsorted(start_at, opened_at + 1)
        for index, stop in zip(first.tolist(), stop_at.tolist(), strict=True):
            if index < len(start_at) and start_at[index] < stop:
                yield 3 * int(start_at[index]) + phase, 3 * stop + phase + 3


def drop_shadows(orfs: list[Orf], allowed: int = 60) -> list[Orf]:
    """Of overlapping frames keep the longer one: the other is mostly its shadow."""
    taken = np.zeros(max((orf.end for orf in orfs), default=0), dtype=np.bool_)
    kept = []
    for orf in sorted(orfs, key=lambda orf: (-orf.length, orf)):
        if taken[orf.start : orf.end].sum() <= allowed:
            taken[orf.start : orf.end] = True
            kept.append(orf)
    return sorted(kept)


def canonical_words(bases: NDArray[np.int64], size: int = UNIQUE) -> NDArray[np.uint64]:
    """Words (length - size + 1,) as numbers that are the same on both strands."""
    count = len(bases) - size + 1
    forward = np.zeros(count, dtype=np.uint64)
    backward = np.zeros(count, dtype=np.uint64)
    for offset in range(size):
        forward = forward * np.uint64(4) + bases[offset : offset + count].astype(np.uint64)
        other = 3 - bases[size - 1 - offset : size - 1 - offset + count]
        backward = backward * np.uint64(4) + other.astype(np.uint64)
    return np.minimum(forward, backward)


def unique_words(bases: NDArray[np.int64], size: int = UNIQUE) -> NDArray[np.bool_]:
    """Say of each word (length - size + 1,) whether it occurs once on the two strands together."""
    words = canonical_words(bases, size)
    _, place, counts = np.unique(words, return_inverse=True, return_counts=True)
    return np.asarray(counts[place] == 1)


def coding_windows(orfs: list[Orf]) -> list[int]:
    """Starts of the windows inside long frames, away from both ends."""
    return [
        start
        for orf in orfs
        for start in range(orf.start + MARGIN, orf.end - MARGIN - WINDOW + 1, STEP)
    ]


def intergenic_windows(bases: NDArray[np.int64]) -> list[int]:
    """Starts of the windows that touch no open frame of ``SHORT_ORF`` length or more."""
    free = np.ones(len(bases), dtype=np.int8)
    for orf in find_orfs(bases, SHORT_ORF):
        free[orf.start : orf.end] = 0
    edges = np.flatnonzero(np.diff(free, prepend=0, append=0)).reshape(-1, 2)
    starts = []
    for low, high in edges.tolist():
        spare = (high - low - WINDOW) % STEP // 2
        starts.extend(range(low + spare, high - WINDOW + 1, STEP))
    return starts


def match_gc(coding: list[int], intergenic: list[int], gc: NDArray[np.int64]) -> list[list[int]]:
    """Draw as many windows of one class as of the other from every 2 % step of GC content.

    Args:
        coding: Window starts.
        intergenic: Window starts.
        gc: Number of G and C in the window that starts at each position.

    Returns:
        The drawn starts of each class, sorted.
    """
    classes = (intergenic, coding)
    bins: list[dict[int, list[str]]] = [{}, {}]
    for name, starts in enumerate(classes):
        for key in order_by_hash(str(start) for start in starts):
            bins[name].setdefault(int(gc[int(key)]) * 50 // WINDOW, []).append(key)
    drawn: list[list[int]] = [[], []]
    for step in bins[0].keys() & bins[1].keys():
        size = min(len(bins[0][step]), len(bins[1][step]))
        for name in (0, 1):
            drawn[name] += [int(key) for key in bins[name][step][:size]]
    return [sorted(starts) for starts in drawn]
