"""What a change of bases does to a protein: the altered coding sequence is translated.

Only the codons that a change touches are read, or, when it shifts the frame, all from there up to
the first amino acid that differs.
"""

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from genolm.genome.consequences.codons import STOP, UNKNOWN, GeneticCode, genetic_code
from genolm.genome.consequences.terms import (
    CODING_SEQUENCE,
    FRAMESHIFT,
    INFRAME_DELETION,
    INFRAME_INSERTION,
    MISSENSE,
    START_LOST,
    STOP_GAINED,
    STOP_LOST,
    STOP_RETAINED,
    SYNONYMOUS,
)
from genolm.genome.consequences.transcript import Coding
from genolm.genome.fasta import Fasta
from genolm.genome.sequence import reverse_complement


class _Piece(NamedTuple):
    """One part of a coding sequence: where it lies on the contig and in the sequence."""

    start: int
    end: int
    offset: int
    reverse: bool


class _Change(NamedTuple):
    """``size`` bases of the coding sequence from ``offset`` on become ``bases``."""

    offset: int
    size: int
    bases: str


class CodingSequence:
    """The bases of a coding sequence, ready to be changed.

    Args:
        coding: Where its parts lie.
        fasta: The genome.

    Attributes:
        bases: Upper case, in the order of reading.
    """

    def __init__(self, coding: Coding, fasta: Fasta) -> None:
        self._skip = coding.skip
        self._code: GeneticCode = genetic_code(coding.code)
        texts: list[str] = []
        pieces: list[_Piece] = []
        offset = 0
        for begin, stop in zip(coding.parts[::2], coding.parts[1::2], strict=True):
            start, end = min(begin, stop), max(begin, stop)
            text = fasta.fetch(coding.contig, start, end).upper()
            texts.append(reverse_complement(text) if begin > stop else text)
            pieces.append(_Piece(start, end, offset, begin > stop))
            offset += end - start
        self.bases = "".join(texts)
        self._pieces = sorted(pieces)
        self._ends = array("q", (piece.end for piece in self._pieces))
        first = self.bases[coding.skip : coding.skip + 3]
        self._begins = coding.has_begin and first in self._code.starts
        # Bases of the contig that stand before the first and after the last of the sequence.
        self._before, self._after = _outsides(pieces)

    def protein(self) -> str:
        """Return the translation, its first letter M where the sequence begins with a start."""
        return self._letters(self.bases[self._skip :], first=True)

    def effect(self, start: int, end: int, alt: str) -> int | None:
        """Return what an edit does to the protein, None where it changes none of its bases.

        Args:
            start: First changed base along the contig, 0-based; an insertion stands before it.
            end: The base after the last changed one.
            alt: The bases that stand there afterwards, upper case.

        Returns:
            The place of a term in ``ORDER``.
        """
        changes = self._changes(start, end, alt)
        if not changes:
            return None
        if end - start != len(alt) and (crossed := self._crossing(start, end)) is not None:
            return crossed
        return self._effect(changes)

    def _changes(self, start: int, end: int, alt: str) -> list[_Change]:
        """The edit along the coding sequence, by offset; twice where bases are read twice."""
        found: list[_Change] = []
        for number in range(bisect_right(self._ends, start), len(self._pieces)):
            piece = self._pieces[number]
            if piece.start >= max(end, start + 1):
                break
            low, high = max(start, piece.start), min(end, piece.end)
            if low >= high and not (start == end and piece.start < start < piece.end):
                continue
            text = alt
            if end - start == len(alt):
                text = alt[low - start : high - start]
            elif low != start:
                text = ""  # the new bases stand where the edit begins
            if piece.reverse:
                offset = piece.offset + piece.end - high
                found.append(_Change(offset, high - low, reverse_complement(text)))
            else:
                found.append(_Change(piece.offset + low - piece.start, high - low, text))
        return sorted(found)

    def _crossing(self, start: int, end: int) -> int | None:
        """What is lost by an edit that goes over the beginning or the end of the sequence."""
        if self._touches(self._after, start, end):
            is_stop = self._code.translate(self.bases[-3:]) == STOP
            whole = (len(self.bases) - self._skip) % 3 == 0
            return STOP_LOST if is_stop and whole else CODING_SEQUENCE
        if self._touches(self._before, start, end):
            return START_LOST if self._begins else CODING_SEQUENCE
        return None

    @staticmethod
    def _touches(base: int, start: int, end: int) -> bool:
        return start <= base < end

    def _effect(self, changes: Sequence[_Change]) -> int:
        offset = changes[0].offset - self._skip
        if offset < 0:
            return CODING_SEQUENCE  # the codon that it belongs to is not known
        last = changes[-1].offset + changes[-1].size - self._skip
        begin = offset // 3 * 3 + self._skip
        grown = sum(len(one.bases) - one.size for one in changes)
        if grown % 3:
            return self._shifted(changes, begin)
        end = self._skip + 3 * -(-last // 3)
        if end > len(self.bases):
            return CODING_SEQUENCE  # of a last codon that is cut short
        ref, alt = self.bases[begin:end], self._altered(changes, begin, end)
        first = begin == self._skip
        if first and self._begins:
            first_codon = (alt + self.bases[end : end + 3])[:3]
            if first_codon != ref[:3] and first_codon not in self._code.kept_starts:
                return START_LOST
        before, after = self._letters(ref, first=first), self._letters(alt, first=first)
        if STOP in after and STOP not in before:
            # A stop that is put before the one that stands there changes no amino acid.
            size = after.index(STOP) + 1
            same = self._letters(self.bases[begin : begin + 3 * size], first=first)
            if same == after[:size]:
                return STOP_RETAINED
        return _compare(before, after, grown // 3)

    def _altered(self, changes: Sequence[_Change], begin: int, end: int) -> str:
        """The altered bases that stand in the place of those from ``begin`` to ``end``."""
        texts: list[str] = []
        at = begin
        for offset, size, text in changes:
            texts += [self.bases[at:offset], text]
            at = max(at, offset + size)
        return "".join([*texts, self.bases[at:end]])

    def _letters(self, bases: str, *, first: bool) -> str:
        """Translate whole codons, of which the first may be the protein's first."""
        letters = self._code.translate(bases)
        if first and self._begins and bases[:3] in self._code.starts:
            return f"M{letters[1:]}"
        return letters

    def _shifted(self, changes: Sequence[_Change], begin: int) -> int:
        """The effect of changes that shift the frame: read on up to what differs."""
        translate = self._code.translate
        ref = self.bases[begin:]
        alt = self._altered(changes, begin, len(self.bases))
        at = 0
        if self._begins and begin == self._skip:
            if alt[:3] not in self._code.kept_starts and alt[:3] != ref[:3]:
                return FRAMESHIFT
            at = 3  # both begin with M
        while len(alt) >= at + 3 and len(ref) >= at + 3:
            before, after = translate(ref[at : at + 3]), translate(alt[at : at + 3])
            if before != after:
                return STOP_GAINED if after == STOP else FRAMESHIFT
            if before == STOP:
                return STOP_RETAINED
            at += 3
        return FRAMESHIFT


def _outsides(pieces: Sequence[_Piece]) -> tuple[int, int]:
    first, last = pieces[0], pieces[-1]
    before = first.end if first.reverse else first.start - 1
    after = last.start - 1 if last.reverse else last.end
    return before, after


def _compare(ref: str, alt: str, grown: int) -> int:
    """Return the effect of a change that keeps the frame.

    Args:
        ref: Amino acids of the codons that are touched.
        alt: What stands in their place.
        grown: How many more these are.
    """
    if UNKNOWN in ref or UNKNOWN in alt:
        return _by_length(grown, CODING_SEQUENCE)
    if ref == alt:
        return STOP_RETAINED if STOP in ref else SYNONYMOUS
    stop = _compare_stops(ref, alt, grown) if STOP in ref or STOP in alt else None
    return _by_length(grown, MISSENSE) if stop is None else stop


def _compare_stops(ref: str, alt: str, grown: int) -> int | None:
    """Return the effect on the first stop; None where it moves with the bases around it."""
    before, after = ref.find(STOP), alt.find(STOP)
    if after < 0:
        return STOP_LOST
    if before < 0:
        return STOP_GAINED
    if ref[:before] == alt[:after]:
        return STOP_RETAINED
    if after < before and after < before + grown:
        return STOP_GAINED
    return STOP_LOST if after > before and after > before + grown else None


def _by_length(grown: int, otherwise: int) -> int:
    if grown == 0:
        return otherwise
    return INFRAME_INSERTION if grown > 0 else INFRAME_DELETION
