"""A change of the genome: reference bases replaced by other bases."""

import re
from dataclasses import dataclass
from typing import Literal

from genolm.errors import UsageError
from genolm.genome.sequence import is_acgt
from genolm.genome.vcf import start_from_pos

VariantKind = Literal["snv", "mnv", "insertion", "deletion", "complex"]


@dataclass(frozen=True, slots=True)
class Variant:
    """One alternate allele of one position.

    Attributes:
        chrom: Name of the contig.
        start: Position of the first base of ``ref``, 0-based.
        ref: Reference allele.
        alt: Alternate allele.
        id: Identifier, such as an rs number.
    """

    chrom: str
    start: int
    ref: str
    alt: str
    id: str | None = None

    def __post_init__(self) -> None:
        """Refuse empty alleles, which VCF has no way to write."""
        if not self.ref or not self.alt:
            raise ValueError(f"variant at {self.chrom}:{self.start} has an empty allele")

    @property
    def end(self) -> int:
        """Position after the last base of ``ref``, 0-based."""
        return self.start + len(self.ref)

    @property
    def kind(self) -> VariantKind:
        """What happens to the sequence; ``complex`` for what is none of the other four.

        An insertion or deletion keeps the shorter allele as the beginning of the longer one, as VCF
        writes it. Alleles that are not made of A, C, G and T are complex.
        """
        ref, alt = self.ref.upper(), self.alt.upper()
        if not (is_acgt(ref) and is_acgt(alt)):
            return "complex"
        if len(ref) == len(alt):
            return "snv" if len(ref) == 1 else "mnv"
        if alt.startswith(ref):
            return "insertion"
        return "deletion" if ref.startswith(alt) else "complex"


def trim_alleles(ref: str, alt: str) -> tuple[int, str, str]:
    """Leave out what two alleles share, first at their end and then at their beginning.

    Args:
        ref: Reference bases in either case.
        alt: Alternate bases in either case.

    Returns:
        How many bases were left out at the beginning, and both alleles in upper case; one of them
        is empty for an insertion or a deletion, both are when the alleles are equal.
    """
    ref, alt = ref.upper(), alt.upper()
    if len(ref) == len(alt) == 1 and ref != alt:
        return 0, ref, alt
    shortest = min(len(ref), len(alt))
    end = 0
    while end < shortest and ref[-1 - end] == alt[-1 - end]:
        end += 1
    begin = 0
    while begin < shortest - end and ref[begin] == alt[begin]:
        begin += 1
    return begin, ref[begin : len(ref) - end], alt[begin : len(alt) - end]


_SPELLINGS = tuple(
    re.compile(
        rf"(?P<chrom>.+){apart}(?P<pos>[0-9]+){apart}(?P<ref>[A-Za-z]+){between}(?P<alt>[A-Za-z]+){end}"
    )
    for apart, between, end in ((":", "[>:]", ""), ("-", "-", ""), ("_", "_", "(_b3[78])?"))
)


def parse_variant(text: str) -> Variant:
    """Read a variant as people write it, with a 1-based position.

    Accepted: ``chr22:1024:A>C`` (AlphaGenome), ``22:1024:A:C``, ``22-1024-A-C`` (gnomAD),
    ``22_1024_A_C`` (Open Targets) and ``chr22_1024_A_C_b38`` (GTEx).

    Raises:
        UsageError: The text is none of these.
    """
    for spelling in _SPELLINGS:
        match = spelling.fullmatch(text.strip())
        if match:
            start = start_from_pos(int(match["pos"]))
            return Variant(match["chrom"], start, match["ref"], match["alt"])
    raise UsageError(
        f"{text!r} is no variant; write chr22:1024:A>C, 22:1024:A:C, 22-1024-A-C or 22_1024_A_C"
    )
