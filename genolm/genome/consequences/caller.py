"""The consequence of a variant: the most severe over all transcripts it lies on.

Terms and their order are those of Ensembl's VEP. Positions are taken as they are written: an
insertion into a repeat is not moved along it.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from genolm.errors import InputError
from genolm.genome.aliases import ContigResolver
from genolm.genome.compression import source_name
from genolm.genome.consequences.annotation import read_transcripts
from genolm.genome.consequences.coding import CodingSequence
from genolm.genome.consequences.codons import STANDARD, STOP
from genolm.genome.consequences.index import TranscriptIndex
from genolm.genome.consequences.terms import (
    CODING_SEQUENCE,
    INTERGENIC,
    INTRON,
    NON_CODING_EXON,
    ORDER,
    SPLICE_ACCEPTOR,
    SPLICE_DONOR,
    SPLICE_REGION,
    UTR_3,
    UTR_5,
)
from genolm.genome.consequences.transcript import Coding, Transcript
from genolm.genome.fasta import Fasta
from genolm.genome.variant import trim_alleles

SITE: Final = 2  # bases of an intron that are its splice site
REGION_IN_INTRON: Final = 8
REGION_IN_EXON: Final = 3
BASES_KEPT: Final = 1 << 25  # of coding sequences
CHECKED: Final = 200  # coding sequences looked at to see whether the annotation fits
FEWEST: Final = 20


class Consequence(NamedTuple):
    """What a variant does.

    Attributes:
        term: One of ``ORDER``, the most severe over all transcripts.
        genes: Names of the genes whose transcripts it is the term of.
    """

    term: str
    genes: tuple[str, ...]


class ConsequenceCaller:
    """Knows the transcripts of a genome.

    Args:
        annotation: GFF3, GTF or GenBank; plain, gzip or bgzip.
        fasta: The genome, where the bases come from.
        code: NCBI's number of the genetic code where the annotation names none (``transl_table``)
            and the contig is not named as a mitochondrion.

    Attributes:
        aliases_used: Contigs of the annotation that the genome calls otherwise.
        missing: Contigs of the annotation that the genome does not have.
        num_transcripts: Number of transcripts.

    Raises:
        UsageError: There is no such file.
        InputError: The annotation is malformed, or does not belong to the genome.
    """

    def __init__(self, annotation: str | Path, fasta: Fasta, *, code: int = STANDARD) -> None:
        resolver = ContigResolver(fasta.contigs)
        found = read_transcripts(annotation, fasta, resolver, code)
        self.aliases_used = resolver.aliases_used
        self.missing = found.missing
        self.num_transcripts = sum(map(len, found.transcripts.values()))
        self._index = TranscriptIndex(found.transcripts)
        self._fasta = fasta
        self._sequences: OrderedDict[Coding, CodingSequence] = OrderedDict()
        self._bases_kept = 0
        self._check(source_name(annotation), found.transcripts)

    def call(self, contig: str, start: int, ref: str, alt: str) -> Consequence:
        """Return the consequence of one allele.

        Args:
            contig: The FASTA's name.
            start: First base of ``ref``, 0-based.
            ref: What the genome has there: A, C, G, T in either case, or nothing.
            alt: What stands in its place, likewise.
        """
        shared, ref, alt = trim_alleles(ref, alt)
        start += shared
        end = start + len(ref)
        worst = INTERGENIC
        genes: dict[str, None] = {}
        if ref == alt:
            return Consequence(ORDER[worst], ())
        for transcript in self._index.overlapping(contig, start, end):
            effect = self._effect(transcript, start, end, alt)
            if effect < worst:
                worst = effect
                genes = {}
            if effect == worst and transcript.gene:
                genes[transcript.gene] = None
        return Consequence(ORDER[worst], tuple(genes))

    def _check(self, name: str, transcripts: Mapping[str, Sequence[Transcript]]) -> None:
        """Refuse an annotation by which most proteins have stops inside."""
        codings = [t.coding for some in transcripts.values() for t in some if t.coding is not None]
        chosen = codings[:: max(1, len(codings) // CHECKED)]
        proteins = [self._sequence(coding).protein() for coding in chosen]
        broken = sum(STOP in protein[:-1] for protein in proteins)
        if len(chosen) >= FEWEST and 2 * broken > len(chosen):
            raise InputError(
                f"{name}: {broken} of {len(chosen)} coding sequences looked at have stop codons"
                f" inside in {self._fasta.name} (another genome build, or another genetic code?)"
            )

    def _effect(self, transcript: Transcript, start: int, end: int, alt: str) -> int:
        splice = splice_effect(transcript.bounds, start, end, reverse=transcript.reverse)
        if splice in (SPLICE_ACCEPTOR, SPLICE_DONOR):
            return splice
        if not _touches_exon(transcript.bounds, start, end):
            return min(splice, INTRON)
        if transcript.coding is None:
            return min(splice, NON_CODING_EXON)
        change = self._sequence(transcript.coding).effect(start, end, alt)
        if change is None:
            change = _outside_coding(transcript, transcript.coding, start)
        return min(splice, change)

    def _sequence(self, coding: Coding) -> CodingSequence:
        found = self._sequences.get(coding)
        if found is not None:
            self._sequences.move_to_end(coding)
            return found
        found = self._sequences[coding] = CodingSequence(coding, self._fasta)
        self._bases_kept += len(found.bases)
        while self._bases_kept > BASES_KEPT and len(self._sequences) > 1:
            _, oldest = self._sequences.popitem(last=False)
            self._bases_kept -= len(oldest.bases)
        return found


def splice_effect(bounds: "array[int]", start: int, end: int, *, reverse: bool) -> int:
    """Return the place in ``ORDER`` of what an edit does to the splicing of a transcript.

    Args:
        bounds: Start and end of every exon.
        start: First changed base; an insertion stands before it, and must be inside.
        end: The base after the last one.
        reverse: The strand.
    """
    found = INTERGENIC
    low = max(1, bisect_left(bounds, start - REGION_IN_INTRON))
    high = min(len(bounds) - 1, bisect_right(bounds, end + REGION_IN_INTRON))
    for number in range(low, high):
        bound = bounds[number]
        begins_intron = number % 2 == 1
        if begins_intron:
            site = (bound, bound + SITE)
            exonic = max(bounds[number - 1], bound - REGION_IN_EXON)
            region = (exonic, bound + REGION_IN_INTRON)
        else:
            site = (bound - SITE, bound)
            exonic = min(bounds[number + 1], bound + REGION_IN_EXON)
            region = (bound - REGION_IN_INTRON, exonic)
        if _touches(site, start, end):
            found = min(found, SPLICE_DONOR if begins_intron != reverse else SPLICE_ACCEPTOR)
        elif _touches(region, start, end):
            found = min(found, SPLICE_REGION)
    return found


def _touches(span: tuple[int, int], start: int, end: int) -> bool:
    if start == end:
        return span[0] < start < span[1]
    return start < span[1] and end > span[0]


def _touches_exon(bounds: "array[int]", start: int, end: int) -> bool:
    number = bisect_right(bounds, start)
    if start == end:
        return number % 2 == 1 and bounds[number - 1] < start
    return number % 2 == 1 or (number < len(bounds) and bounds[number] < end)


def _outside_coding(transcript: Transcript, coding: Coding, start: int) -> int:
    """The untranslated region that an edit lies in, or the shift of the frame."""
    low, high = transcript.start, transcript.end
    own = [
        (min(pair), max(pair))
        for pair in zip(coding.parts[::2], coding.parts[1::2], strict=True)
        if min(pair) < high and max(pair) > low
    ]
    if not own or min(own)[0] < start < max(end for _, end in own):
        return CODING_SEQUENCE
    return UTR_5 if (start <= min(own)[0]) != transcript.reverse else UTR_3
