"""The contigs of an annotation among those of the genome."""

from genolm.errors import InputError
from genolm.genome.aliases import ContigResolver
from genolm.genome.fasta import Fasta
from genolm.genome.vcf import pos_from_start


class AnnotatedContigs:
    """Finds contigs and refuses places that the genome does not have.

    Args:
        fasta: The genome.
        resolver: Knows its contigs.

    Attributes:
        missing: Contigs that the genome does not have, as the annotation names them.
        circular: Contigs that are circles, as the FASTA names them.
    """

    def __init__(self, fasta: Fasta, resolver: ContigResolver) -> None:
        self.missing: dict[str, None] = {}
        self.circular: set[str] = set()
        self._fasta = fasta
        self._resolver = resolver

    def find(self, name: str) -> str | None:
        """Return the FASTA's name of a contig, None where it has none."""
        found = self._resolver.resolve(name)
        if found is None:
            self.missing[name] = None
        return found

    def length(self, contig: str) -> int:
        """Return the number of bases of a contig."""
        return self._fasta.contigs[contig]

    def check(self, place: str, contig: str, start: int, end: int) -> None:
        """Make sure that a feature lies on its contig.

        Args:
            place: File and line.
            contig: The FASTA's name.
            start: First base, 0-based.
            end: The base after the last one; past the end on a circle that it goes around.

        Raises:
            InputError: It does not.
        """
        length = self.length(contig)
        if 0 <= start < end <= length or (
            contig in self.circular and 0 <= start < end < 2 * length
        ):
            return
        raise InputError(
            f"{place}: {pos_from_start(start)}-{end} does not lie on {contig} of"
            f" {self._fasta.name}, which has {length:,} bases (another genome build?)"
        )

    def check_length(self, place: str, contig: str, length: int) -> None:
        """Make sure that a contig is as long as the annotation says.

        Raises:
            InputError: It is not.
        """
        if length != self.length(contig):
            raise InputError(
                f"{place}: {contig} has {length:,} bases here and {self.length(contig):,} in"
                f" {self._fasta.name} (another genome build?)"
            )
