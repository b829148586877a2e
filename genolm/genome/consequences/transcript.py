"""Transcripts as numbers: exons along the contig, the coding sequence in the order of reading.

A human annotation has 250,000 transcripts, so a transcript is two flat arrays and no more.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

LONGEST_GAP: Final = 12  # bases; a shorter gap is no intron but a shift of the frame (Ensembl)


class Part(NamedTuple):
    """One stretch of a transcript or of its coding sequence; 0-based, half-open.

    Attributes:
        start: First base along the contig.
        end: The base after the last one.
        reverse: Whether it is read on the reverse strand.
    """

    start: int
    end: int
    reverse: bool


@dataclass(frozen=True, slots=True, eq=False)
class Coding:
    """A coding sequence.

    Attributes:
        contig: The FASTA's name.
        parts: Where each part begins and where it ends, in the order of reading; on the reverse
            strand a part begins at the greater number.
        skip: Bases before the first whole codon.
        code: NCBI's number of the genetic code.
        has_begin: Whether its first codon is the protein's first, as far as the annotation says.
    """

    contig: str
    parts: "array[int]"
    skip: int
    code: int
    has_begin: bool


@dataclass(frozen=True, slots=True, eq=False)
class Transcript:
    """Exons on one strand of one contig.

    Attributes:
        gene: Name of the gene; empty where it has none.
        reverse: Whether it is read on the reverse strand.
        bounds: Start and end of every exon, ascending.
        coding: The coding sequence; None for a transcript without. Transcripts in several pieces
            (trans-spliced, or around the origin of a circle) share one.
    """

    gene: str
    reverse: bool
    bounds: "array[int]"
    coding: Coding | None

    @property
    def start(self) -> int:
        """First base, 0-based."""
        return self.bounds[0]

    @property
    def end(self) -> int:
        """The base after the last one."""
        return self.bounds[-1]


def make_coding(
    contig: str, parts: Iterable[Part], *, skip: int, code: int, has_begin: bool
) -> Coding:
    """Return a coding sequence of parts in the order of reading."""
    flat: array[int] = array("q")
    for part in parts:
        flat.extend((part.end, part.start) if part.reverse else (part.start, part.end))
    return Coding(contig, flat, skip, code, has_begin and skip == 0)


def make_transcripts(gene: str, exons: Sequence[Part], coding: Coding | None) -> list[Transcript]:
    """Return the pieces of a transcript: one, unless it changes strand or goes around a circle.

    Args:
        gene: Name of the gene.
        exons: In the order of reading; gaps that are too short for introns are closed.
        coding: Its coding sequence.
    """
    pieces: list[list[Part]] = []
    for exon in exons:
        if pieces and _follows(pieces[-1][-1], exon):
            pieces[-1].append(exon)
        else:
            pieces.append([exon])
    return [Transcript(gene, piece[0].reverse, _bounds(piece), coding) for piece in pieces]


def _follows(before: Part, part: Part) -> bool:
    if before.reverse != part.reverse:
        return False
    return part.end <= before.end if part.reverse else part.start >= before.start


def _bounds(exons: Iterable[Part]) -> "array[int]":
    bounds: array[int] = array("q")
    for start, end, _ in sorted(exons):
        if bounds and start - bounds[-1] <= LONGEST_GAP:
            bounds[-1] = max(bounds[-1], end)
        else:
            bounds.extend((start, end))
    return bounds


def in_reading_order(
    spans: Iterable[tuple[int, int]], *, reverse: bool, length: int, circular: bool
) -> list[Part]:
    """Put spans of a strand in order; those of a circle go on around its origin.

    Args:
        spans: Start and end; GFF3 writes what goes around the origin past the contig's end.
        reverse: Whether they are read on the reverse strand.
        length: Bases of the contig.
        circular: Whether it is a circle.
    """
    found: list[tuple[int, int]] = []
    for start, end in sorted(set(spans)):
        if end <= length:
            found.append((start, end))
        elif start >= length:
            found.append((start - length, end - length))
        else:
            found += [(start, length), (0, end - length)]
    found.sort()
    if circular and len(found) > 1 and found[0][0] == 0 and found[-1][1] == length:
        gaps = [after[0] - before[1] for before, after in pairwise(found)]
        first = gaps.index(max(gaps)) + 1
        found = found[first:] + found[:first]
    parts = [Part(start, end, reverse) for start, end in found]
    return parts[::-1] if reverse else parts
