"""Parts of a genome that records are restricted to: ``chr20:1-1000,chr21``, or a BED file."""

import re
from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

from genolm.errors import UsageError
from genolm.genome.aliases import plain_name
from genolm.genome.bed import read_bed

TELOMERE: Final = -1  # the 0-based start of POS 0, which VCF allows
END_OF_ANY_CONTIG: Final = 1 << 40
_REGION: Final = re.compile(
    r"(?P<chrom>[^,:\s][^,\s]*?)(?::(?P<first>[0-9]+)(?P<to>-(?P<last>[0-9]*))?)?"
)

Span = tuple[int, int]


class Regions:
    """Stretches of contigs, merged where they touch; contigs are known by their aliases too.

    Args:
        spans: Contig, start and end of each, 0-based half-open.
    """

    def __init__(self, spans: Iterable[tuple[str, int, int]]) -> None:
        found: dict[str, list[Span]] = {}
        for chrom, start, end in spans:
            found.setdefault(plain_name(chrom), []).append((start, end))
        self._spans = {chrom: _merge(some) for chrom, some in found.items()}
        self._starts = {chrom: [one[0] for one in some] for chrom, some in self._spans.items()}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read comma-separated regions with 1-based inclusive positions, or the name of a BED.

        ``chr20`` is a whole contig, ``chr20:5`` one position, ``chr20:5-`` all from there on.

        Raises:
            UsageError: The text is neither regions nor the name of a file.
            InputError: The content of the BED is wrong.
        """
        if Path(text).is_file() or text.lower().endswith((".bed", ".bed.gz", ".bed.bgz")):
            return cls((one.chrom, one.start, one.end) for one in read_bed(text))
        return cls(_parse_one(piece) for piece in text.split(","))

    @property
    def hold_telomeres(self) -> bool:
        """Whether POS 0 of a contig is inside, as it is when a whole contig is."""
        return any(spans[0][0] < 0 for spans in self._spans.values())

    def of(self, chrom: str) -> list[Span]:
        """Return the spans on a contig in order, 0-based half-open."""
        return self._spans.get(plain_name(chrom), [])

    def hold(self, chrom: str, start: int) -> bool:
        """Say whether the base at ``start`` (0-based; -1 for POS 0) lies in a region."""
        name = plain_name(chrom)
        if name not in self._spans:
            return False
        place = bisect_right(self._starts[name], start) - 1
        return place >= 0 and start < self._spans[name][place][1]


def _parse_one(text: str) -> tuple[str, int, int]:
    match = _REGION.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"--regions {text!r}: write chr20:1-1000,chr21 or the name of a BED file")
    if match["first"] is None:
        return match["chrom"], TELOMERE, END_OF_ANY_CONTIG
    first = int(match["first"])
    last = first if match["to"] is None else int(match["last"] or END_OF_ANY_CONTIG)
    if last < first:
        raise UsageError(f"--regions {text}: it ends before it begins")
    return match["chrom"], first - 1, last


def _merge(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
