"""A transcript as the rows of a GFF3 or GTF file tell it, in any order, until it is whole."""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from genolm.genome.consequences.codons import code_of_contig
from genolm.genome.consequences.contigs import AnnotatedContigs
from genolm.genome.consequences.transcript import (
    Coding,
    Transcript,
    in_reading_order,
    make_coding,
    make_transcripts,
)

Span = tuple[int, int]


@dataclass(slots=True)
class CodingRows:
    """The rows of one coding sequence.

    Attributes:
        rows: Start, end and phase of each.
        code: Genetic code; 0 where the file names none.
        has_begin: Whether no row says that the beginning is missing.
    """

    rows: "array[int]" = field(default_factory=lambda: array("q"))
    code: int = 0
    has_begin: bool = True

    def spans(self) -> list[Span]:
        """Return start and end of each row."""
        return list(zip(self.rows[::3], self.rows[1::3], strict=True))

    def take(self, other: "CodingRows") -> None:
        """Add the rows of another one."""
        self.rows.extend(other.rows)
        self.code = self.code or other.code
        self.has_begin &= other.has_begin

    def add_stop(self, stop: Span) -> None:
        """Add the stop codon, which GTF keeps out of the coding sequence."""
        rows = self.rows
        for i in range(0, len(rows), 3):
            start, end = rows[i], rows[i + 1]
            if start <= stop[0] and stop[1] <= end:
                return
            if stop[0] == end or stop[1] == start:
                rows[i], rows[i + 1] = min(start, stop[0]), max(end, stop[1])
                return
        rows.extend((*stop, 0))


@dataclass(slots=True)
class Draft:
    """What rows have told of one transcript.

    Attributes:
        contig: The FASTA's name.
        reverse: The strand.
        gene: What the first row called the gene.
        exons: Start and end of exons and untranslated regions.
        stops: Start and end of the parts of the stop codon.
        coding: The rows of coding sequences, by their ID.
    """

    contig: str
    reverse: bool
    gene: str = ""
    exons: "array[int]" = field(default_factory=lambda: array("q"))
    stops: "array[int]" = field(default_factory=lambda: array("q"))
    coding: dict[str, CodingRows] = field(default_factory=dict)

    def finish(
        self, gene: str, contigs: AnnotatedContigs, code: int, *, one: bool
    ) -> Iterator[Transcript]:
        """Yield the transcripts.

        Args:
            gene: Name of the gene.
            contigs: Knows how long contigs are and which are circles.
            code: Genetic code where nothing else is said.
            one: Whether all coding rows are of one transcript, not of one gene with several.
        """
        exons = _pairs(self.exons)
        codings = list(self.coding.values())
        if one and len(codings) > 1 and not _overlap(self.coding.values()):
            for other in codings[1:]:
                codings[0].take(other)
            del codings[1:]
        if not codings:
            yield from self._piece(gene, exons, None, contigs)
        own = exons if one or len(codings) == 1 else []
        for rows in codings:
            for stop in _pairs(self.stops):
                rows.add_stop(stop)
            coding = self._coding(rows, contigs, code)
            yield from self._piece(gene, [*own, *rows.spans()], coding, contigs)

    def _piece(
        self, gene: str, spans: Iterable[Span], coding: Coding | None, contigs: AnnotatedContigs
    ) -> list[Transcript]:
        ordered = in_reading_order(
            spans,
            reverse=self.reverse,
            length=contigs.length(self.contig),
            circular=self.contig in contigs.circular,
        )
        return make_transcripts(gene, ordered, coding)

    def _coding(self, rows: CodingRows, contigs: AnnotatedContigs, code: int) -> Coding:
        phases = dict(zip(rows.rows[::3], rows.rows[2::3], strict=True))
        ends = dict(zip(rows.rows[1::3], rows.rows[2::3], strict=True))
        length = contigs.length(self.contig)
        parts = in_reading_order(
            rows.spans(),
            reverse=self.reverse,
            length=length,
            circular=self.contig in contigs.circular,
        )
        first = parts[0]
        begin, known = (first.end, ends) if self.reverse else (first.start, phases)
        skip = known.get(begin, known.get(begin + length, 0))
        number = rows.code or code_of_contig(self.contig, code)
        return make_coding(self.contig, parts, skip=skip, code=number, has_begin=rows.has_begin)


def _pairs(flat: "array[int]") -> list[Span]:
    return list(zip(flat[::2], flat[1::2], strict=True))


def _overlap(codings: Iterable[CodingRows]) -> bool:
    """Whether coding sequences with different IDs share bases: then they are alternatives."""
    end = -1
    for start, stop in sorted(span for one in codings for span in one.spans()):
        if start < end:
            return True
        end = max(end, stop)
    return False
