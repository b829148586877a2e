"""A stretch of one strand of a contig; 0-based, half-open."""

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class Interval:
    """Bases ``start`` (included) to ``end`` (excluded), counted from 0.

    ``start`` may be negative and ``end`` may lie past the contig: windows around positions near
    the ends do, and ``Fasta.fetch_padded`` gives N there.

    Attributes:
        chrom: Name of the contig.
        start: First base, 0-based.
        end: The base after the last one; not smaller than ``start``.
        strand: ``"+"``, or ``"-"`` for the reverse complement.
        name: A label, such as column 4 of a BED file.
    """

    chrom: str
    start: int
    end: int
    strand: str = "+"
    name: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is no interval."""
        if self.start > self.end:
            raise ValueError(f"interval {self} ends before it starts")
        if self.strand not in ("+", "-"):
            raise ValueError(f"strand is '+' or '-', not {self.strand!r}")

    @property
    def length(self) -> int:
        """Number of bases."""
        return self.end - self.start

    def resize(self, length: int) -> Self:
        """Return the interval of ``length`` bases around the same centre."""
        start = (self.start + self.end) // 2 - length // 2
        return replace(self, start=start, end=start + length)

    def shift(self, distance: int) -> Self:
        """Return the interval moved by ``distance`` bases, towards the end when positive."""
        return replace(self, start=self.start + distance, end=self.end + distance)

    def within(self, contig_length: int) -> bool:
        """Say whether every base lies on a contig of ``contig_length`` bases."""
        return self.start >= 0 and self.end <= contig_length

    def __str__(self) -> str:
        """Write ``chrom:start-end(strand)``, 0-based like the fields."""
        return f"{self.chrom}:{self.start}-{self.end}({self.strand})"
