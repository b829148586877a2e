"""What a genome is, contig by contig: bases, N, GC, lower case, windows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from genolm.data.genome_store import GenomeStore
from genolm.data.windows import from_regions
from genolm.genome.interval import Interval
from genolm.tokenization.vocabulary import C, G, N

_AT_ONCE: Final = 1 << 24


@dataclass(frozen=True)
class ContigInfo:
    """What a contig holds.

    Attributes:
        name: As the FASTA has it; "all" for the sum.
        bases: Its length.
        n: Bases that are N (or another IUPAC letter).
        gc: G and C.
        lower_case: Bases in lower case (soft-masked repeats).
        windows: Windows of the length asked for, those with too many N left out.
    """

    name: str
    bases: int
    n: int
    gc: int
    lower_case: int
    windows: int

    @property
    def gc_share(self) -> float:
        """Share of G and C among the bases that are known; nan where none is."""
        known = self.bases - self.n
        return self.gc / known if known else float("nan")


def describe_contigs(
    store: GenomeStore, length: int, max_n_fraction: float
) -> Iterator[ContigInfo]:
    """Yield what each contig of a genome holds, and the sum of them last.

    Args:
        store: The genome.
        length: Bases of a window.
        max_n_fraction: Windows with a larger share of N are not counted.
    """
    found = [_describe(store, chrom, length, max_n_fraction) for chrom in store.contigs]
    yield from found
    names = ("bases", "n", "gc", "lower_case", "windows")
    yield ContigInfo("all", *(sum(getattr(one, name) for one in found) for name in names))


def _describe(store: GenomeStore, chrom: str, length: int, max_n_fraction: float) -> ContigInfo:
    size = store.contigs[chrom]
    n = gc = lower = 0
    for start in range(0, size, _AT_ONCE):
        end = min(start + _AT_ONCE, size)
        ids = store.ids(chrom, start, end)
        counts = np.bincount(ids, minlength=N + 1)
        n += int(counts[N])
        gc += int(counts[G] + counts[C])
        lower += int(store.repeat_mask(chrom, start, end).sum())
    windows = from_regions([Interval(chrom, 0, size)], length)
    kept = windows.filter_by_n(store, max_n_fraction) if len(windows) else windows
    return ContigInfo(chrom, size, n, gc, lower, len(kept))
