"""What a record says against what the genome says: alleles to score, or reasons why not."""

from collections.abc import Sequence
from typing import NamedTuple

from genolm.data.edit_windows import GenomeWindows
from genolm.genome.aliases import ContigResolver
from genolm.genome.edits import LETTERS, Edit, reason_in_text
from genolm.genome.sequence import is_acgt


class Site(NamedTuple):
    """The alleles of one record.

    Attributes:
        alleles: For each ALT the edit to score, or the reason why it cannot be.
        ref_is_right: Whether REF stands in the genome; None where that could not be asked (the
            contig is missing, REF is not A, C, G, T).
    """

    alleles: tuple[Edit | str, ...]
    ref_is_right: bool | None


class SiteReader:
    """Turns records into sites.

    Args:
        genome: The reference bases.
        resolver: Knows the FASTA's name of a contig.
        window: Bases of a window; an edit longer than half of it is too long.

    Attributes:
        missing: Contigs that records were on and the genome does not have, as records name them.
    """

    def __init__(self, genome: GenomeWindows, resolver: ContigResolver, window: int) -> None:
        self._genome = genome
        self._resolver = resolver
        self._longest = window // 2
        self.missing: dict[str, None] = {}

    def read(self, chrom: str, start: int, ref: str, alts: Sequence[str]) -> Site:
        """Return what can be scored of a record.

        Args:
            chrom: Contig as the record names it.
            start: First base of REF, 0-based; may lie outside the contig.
            ref: The REF column.
            alts: The alleles of the ALT column; none is the same as ".".
        """
        contig = self._resolver.resolve(chrom)
        if contig is None:
            self.missing[chrom] = None
        elif len(alts) == 1 and ref in LETTERS and alts[0] in LETTERS:
            return self._substitution(contig, start, ref, alts[0])
        right = None
        if contig is not None and is_acgt(ref):
            right = self._genome.matches(contig, start, ref)
        alleles = [self._allele(contig, start, ref, alt, right) for alt in alts or (".",)]
        return Site(tuple(alleles), right)

    def _substitution(self, contig: str, start: int, ref: str, alt: str) -> Site:
        """Say the same as ``read`` of one base for another: nearly every record of a real file."""
        if not self._genome.matches(contig, start, ref):
            return Site(("ref_mismatch",), ref_is_right=False)
        return Site((Edit.between(contig, start, ref, alt),), ref_is_right=True)

    def _allele(
        self, contig: str | None, start: int, ref: str, alt: str, right: bool | None
    ) -> Edit | str:
        if reason := reason_in_text(ref, alt):
            return reason
        if contig is None:
            return "contig_missing"
        if not right:
            return "ref_mismatch"
        edit = Edit.between(contig, start, ref, alt)
        return "too_long" if edit.size > self._longest else edit
