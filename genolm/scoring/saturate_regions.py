"""Which bases of a genome to saturate: a region, a gene, a BED file, the sites of a VCF.

Everything handed on is 0-based half-open and in the genome's own contig names; strands are left
out, for a SNV is written on the forward strand.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from genolm.data.build_check import BuildCheck
from genolm.data.edit_windows import GenomeWindows
from genolm.data.sites import Site
from genolm.errors import UsageError
from genolm.genome.aliases import ContigResolver
from genolm.genome.bed import read_bed
from genolm.genome.compression import open_decompressed
from genolm.genome.content import HEAD_BYTES, kind_of
from genolm.genome.fasta import Fasta
from genolm.genome.interval import Interval
from genolm.genome.sequence import is_acgt
from genolm.genome.vcf import VcfReader, VcfRecord, open_vcf, start_from_pos
from genolm.scoring.saturate_gene import find_gene

_SPAN: Final = re.compile(r"(?P<chrom>.+):(?P<start>[0-9,]+)(?P<dash>-?)(?P<end>[0-9,]*)")
_NAMED: Final = 5  # contigs that a message lists


@dataclass
class Regions:
    """Intervals to go through once.

    Attributes:
        intervals: In order; each lies on its contig.
        bases: How many bases they hold in all; None while that is unknown.
        resolver: Knows which names were aliases.
        skipped: Bases that are left out, by reason; grows while a VCF is gone through.
    """

    intervals: Iterator[Interval]
    bases: int | None
    resolver: ContigResolver
    skipped: Counter[str] = field(default_factory=Counter)


@contextmanager
def open_regions(text: str, fasta: Fasta, annotation: str | None = None) -> Iterator[Regions]:
    """Open what the user named.

    Args:
        text: ``chr20:1000-2000`` (1-based, both ends included, commas allowed), ``chr20:1000-``
            (up to the contig's end), ``chr20`` (all of it), or the path of a BED or VCF file; the
            name of a gene where there is an annotation.
        fasta: The genome.
        annotation: GenBank, GFF3 or GTF.

    Yields:
        The intervals. Those of a BED file come as they are, overlapping or not. Of a VCF, every
        base of each REF is a site; a base that the record before has is not given again.

    Raises:
        UsageError: There is no such region, contig, gene or file.
        InputError: The content of the file is wrong.
    """
    resolver = ContigResolver(fasta.contigs)
    if annotation is None:
        region = parse_region(text, fasta, resolver)
    else:
        region = find_gene(text, annotation, fasta, resolver)
    if region is not None:
        yield Regions(iter([region]), region.length, resolver)
    elif not Path(text).is_file():
        raise UsageError(_neither(text, fasta))
    elif _is_vcf(text):
        with open_vcf(text) as reader:
            regions = Regions(iter(()), None, ContigResolver(fasta.contigs, reader.contig_lengths))
            regions.intervals = _Sites(text, fasta, regions).read(reader)
            yield regions
    else:
        intervals = read_bed(text, contigs=fasta.contigs)
        bases = sum(interval.length for interval in intervals)
        yield Regions(iter(intervals), bases, resolver)


def parse_region(text: str, fasta: Fasta, resolver: ContigResolver) -> Interval | None:
    """Read a region as samtools writes it; None where ``text`` names no contig of the genome.

    Raises:
        UsageError: The span does not lie on its contig, or cannot be read.
    """
    if contig := resolver.resolve(text):  # names may hold colons themselves
        return Interval(contig, 0, fasta.contigs[contig])
    match = _SPAN.fullmatch(text)
    if match is None or (contig := resolver.resolve(match["chrom"])) is None:
        return None
    if not match["dash"]:
        raise UsageError(
            f"{text}: write {text}-{match['start']} for the one base, {text}- for all from there on"
        )
    length = fasta.contigs[contig]
    start, end = _number(match["start"]), _number(match["end"]) if match["end"] else length
    if start is None or end is None or not 1 <= start <= end <= length:
        raise UsageError(
            f"{text} does not lie on {contig} of {fasta.name}, which has the bases 1-{length:,}"
        )
    return Interval(contig, start_from_pos(start), end)


def _number(text: str) -> int | None:
    digits = text.replace(",", "")
    return int(digits) if digits else None


def _neither(text: str, fasta: Fasta) -> str:
    names = list(itertools.islice(fasta.contigs, _NAMED))
    known = ", ".join(names) + (", ..." if len(fasta.contigs) > _NAMED else "")
    return (
        f"no such file or region: {text}; write {names[0]}:1-{fasta.contigs[names[0]]}, or name a"
        f" BED or VCF file ({fasta.name} has the contigs {known})"
    )


def _is_vcf(path: str) -> bool:
    with open_decompressed(path) as stream:
        return kind_of(stream.read(HEAD_BYTES)) in ("a VCF file", "a BCF file")


class _Sites:
    """The sites of a VCF's alleles.

    Args:
        name: How messages call the VCF.
        fasta: The genome.
        regions: Where bases that are left out are counted.
    """

    def __init__(self, name: str, fasta: Fasta, regions: Regions) -> None:
        self._genome = GenomeWindows(fasta)
        self._regions = regions
        self._check = BuildCheck(name, fasta.name, strict=False)
        self._last = Interval("", 0, 0)

    def read(self, reader: VcfReader) -> Iterator[Interval]:
        """Go through the records.

        Raises:
            InputError: Most REF alleles do not stand in the genome, or the VCF is malformed.
        """
        for record in reader:
            interval = self._locate(record)
            if interval is not None and interval.length:
                yield interval
        self._check.finish()

    def _locate(self, record: VcfRecord) -> Interval | None:
        contig = self._regions.resolver.resolve(record.chrom)
        if contig is None:
            self._regions.skipped["contig_missing"] += len(record.ref)
            return None
        end = record.start + len(record.ref)
        right = (
            self._genome.matches(contig, record.start, record.ref) if is_acgt(record.ref) else None
        )
        self._check.see(record, Site((), right))
        if right is False or not 0 <= record.start < end <= self._genome.contigs[contig]:
            self._regions.skipped["ref_mismatch"] += len(record.ref)
            return None
        return self._unseen(Interval(contig, record.start, end))

    def _unseen(self, interval: Interval) -> Interval:
        """Take off what the records before had, as far as the file is sorted."""
        last = self._last
        if interval.chrom != last.chrom or interval.start < last.start:
            self._last = interval
            return interval
        end = max(interval.end, last.end)
        self._last = Interval(interval.chrom, interval.start, end)
        return Interval(interval.chrom, min(max(interval.start, last.end), end), end)
