"""One allele as the smallest replacement of bases, and the reasons why one cannot be scored.

Coordinates are 0-based half-open.
"""

import re
from typing import Final, NamedTuple

from genolm.genome.sequence import is_acgt
from genolm.genome.variant import trim_alleles

LETTERS: Final = frozenset("ACGTacgt")
SKIP_REASONS: Final = (
    "symbolic",
    "star",
    "non_acgt_ref",
    "non_acgt_alt",
    "ref_mismatch",
    "contig_missing",
    "too_long",
    "no_alt",
)

# <DEL>, <*>, a breakend such as G]17:198] or ]13:123]T, a single breakend such as G. or .G
_SYMBOLIC: Final = re.compile(r"<.*>|.*[\[\]].*|\.[A-Za-z]+|[A-Za-z]+\.")


class Edit(NamedTuple):
    """The bases ``ref`` that stand at ``start`` of ``contig`` become ``alt``.

    What both alleles share at either end is left out, so that an allele is the same edit however
    it is written: ``CA>CAT`` and ``A>AT`` one base later are the same insertion of T.

    Attributes:
        contig: Name in the FASTA.
        start: First changed base, 0-based; an insertion stands before it.
        ref: Upper-case A, C, G, T; empty for an insertion.
        alt: Upper-case A, C, G, T; empty for a deletion.
    """

    contig: str
    start: int
    ref: str
    alt: str

    @property
    def size(self) -> int:
        """Bases of the longer allele."""
        return max(len(self.ref), len(self.alt))

    @property
    def is_substitution(self) -> bool:
        """Whether the length stays the same (SNV and MNV)."""
        return len(self.ref) == len(self.alt)

    @classmethod
    def between(cls, contig: str, start: int, ref: str, alt: str) -> "Edit":
        """Return the smallest edit that turns ``ref`` at ``start`` into ``alt``, in any case.

        The shared end is taken off before the shared beginning, so an insertion into a repeat
        stands before the repeat. Equal alleles become an empty edit.
        """
        shared, ref, alt = trim_alleles(ref, alt)
        return cls(contig, start + shared, ref, alt)


def reason_in_text(ref: str, alt: str) -> str | None:
    """Return why an allele cannot be scored as far as its letters tell, or None.

    Args:
        ref: The REF column.
        alt: One allele of the ALT column.
    """
    if alt in LETTERS and ref in LETTERS:
        return None  # nearly every record of a real file
    if alt in (".", ""):
        return "no_alt"
    if alt == "*":
        return "star"
    if _SYMBOLIC.fullmatch(alt):
        return "symbolic"
    if not is_acgt(ref):
        return "non_acgt_ref"
    return None if is_acgt(alt) else "non_acgt_alt"
