"""Notice early that a VCF and a FASTA are of different genome builds."""

from collections.abc import Callable
from typing import Final

from genolm.data.sites import Site
from genolm.errors import InputError
from genolm.genome.vcf import VcfRecord, pos_from_start

FIRST: Final = 1000
FEWEST: Final = 20


class BuildCheck:
    """Counts REF alleles that do not stand in the genome.

    Records whose REF cannot be looked up (missing contig, letters other than A, C, G, T) do not
    count.

    Args:
        vcf: How messages call the VCF.
        reference: How messages call the FASTA.
        strict: Whether the first wrong REF is one too many.
        place: Returns how messages call the record with a number.
    """

    def __init__(
        self,
        vcf: str,
        reference: str,
        *,
        strict: bool,
        place: Callable[[int], str] | None = None,
    ) -> None:
        self.checked = 0
        self.wrong = 0
        self._vcf = vcf
        self._reference = reference
        self._strict = strict
        self._place = place or (lambda number: f"{vcf}:{number}")

    def see(self, record: VcfRecord, site: Site) -> None:
        """Count a record.

        Raises:
            InputError: More than half of the first 1,000 are wrong, or one when strict.
        """
        if site.ref_is_right is None:
            return
        self.checked += 1
        if not site.ref_is_right:
            self.wrong += 1
            if self._strict:
                raise InputError(
                    f"{self._place(record.number)}: REF {record.ref} does not stand at"
                    f" {record.chrom}:{pos_from_start(record.start)} of {self._reference}"
                    " (--strict)"
                )
        if self.checked == FIRST:
            self._judge()

    def finish(self) -> None:
        """Judge a file of fewer than 1,000 records, from 20 on.

        Raises:
            InputError: More than half are wrong.
        """
        if FEWEST <= self.checked < FIRST:
            self._judge()

    def _judge(self) -> None:
        if 2 * self.wrong > self.checked:
            raise InputError(
                f"{self._vcf}: {self.wrong} of the first {self.checked} REF alleles do not stand"
                f" in {self._reference}: wrong genome build?"
            )
