"""Records in chunks, with what can be scored of them: as many as a model runs well with."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from genolm.data.build_check import BuildCheck
from genolm.data.sites import SiteReader
from genolm.genome.edits import Edit
from genolm.genome.vcf import VcfRecord

LONGEST: Final = 1 << 26  # letters after which a chunk ends, however few its records


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some records that follow each other.

    Attributes:
        records: The records.
        alleles: For each ALT of each of them the edit to score, or the reason why it cannot be.
        is_last: Whether no records follow.
    """

    records: list[VcfRecord]
    alleles: list[Edit | str]
    is_last: bool


def read_chunks(
    records: Iterator[VcfRecord], sites: SiteReader, check: BuildCheck, size: int
) -> Iterator[Chunk]:
    """Yield the records in chunks, at least one.

    Args:
        records: All that there are.
        sites: Looks their alleles up in the genome.
        check: Sees every record; what it says of all of them comes before the last chunk.
        size: Most records of a chunk.

    Raises:
        InputError: The content of the input is wrong.
    """
    is_last = False
    while not is_last:
        chunk = _read_chunk(records, sites, check, size)
        is_last = chunk.is_last
        if is_last:
            check.finish()
        yield chunk


def _read_chunk(
    records: Iterator[VcfRecord], sites: SiteReader, check: BuildCheck, size: int
) -> Chunk:
    kept: list[VcfRecord] = []
    alleles: list[Edit | str] = []
    letters = 0
    for record in itertools.islice(records, size):
        site = sites.read(record.chrom, record.start, record.ref, record.alts)
        check.see(record, site)
        kept.append(record)
        alleles += site.alleles
        letters += len(record.line)
        if letters >= LONGEST:
            return Chunk(kept, alleles, is_last=False)
    return Chunk(kept, alleles, is_last=len(kept) < size)
