"""Files of as many records as are wanted, made of real ones moved along the real contig."""

import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pysam

from genolm.genome.fasta import Fasta
from genolm.genome.vcf import ENCODING, ERRORS, VcfRecord, open_vcf

FIRST: Final = 100_000  # beyond the telomere
PIECE: Final = 1 << 20  # bases of the genome held at a time
ROWS: Final = 500  # rows of genotypes that are drawn; records take them in turn


def write_records(target: Path, vcf: str, fasta: str, count: int, samples: int = 0) -> None:
    """Write ``count`` sorted records: bgzipped where the name ends in .gz.

    Args:
        target: The file.
        vcf: Where ID, QUAL, FILTER, INFO and the kind of change come from, round and round.
        fasta: Where REF comes from: records stand evenly on the first record's contig.
        count: How many records.
        samples: Columns of genotypes, drawn at allele frequencies skewed towards rare.
    """
    with open_vcf(vcf) as reader:
        header, columns, records = reader.header, reader.columns, list(reader)
    names = "".join(f"\tS{number}" for number in range(samples))
    columns = "\t".join(columns.split("\t")[:8]) + (f"\tFORMAT{names}" if samples else "")
    ends = itertools.cycle(_genotypes(samples) if samples else ["\n"])
    opened = pysam.BGZFile(str(target), "wb") if target.suffix == ".gz" else target.open("wb")
    with Fasta(fasta) as genome, opened as stream:
        stream.write("".join(f"{line}\n" for line in (*header, columns)).encode(ENCODING, ERRORS))
        lines = map(str.__add__, _sites(genome, records, count), ends)
        while some := "".join(itertools.islice(lines, 1 + 4096 // (1 + samples // 16))):
            stream.write(some.encode(ENCODING, ERRORS))


def _genotypes(samples: int) -> list[str]:
    """Draw ends of lines: FORMAT and the samples."""
    draw = random.Random(1)
    rows = []
    for _ in range(ROWS):
        rare = draw.random() ** 6
        alleles = "".join("01"[draw.random() < rare] for _ in range(2 * samples))
        pairs = zip(alleles[::2], alleles[1::2], strict=True)
        rows.append("\tGT\t" + "\t".join(f"{one}|{other}" for one, other in pairs) + "\n")
    return rows


def _sites(genome: Fasta, records: list[VcfRecord], count: int) -> Iterator[str]:
    contig = records[0].chrom
    length = genome.contigs[contig]
    step = (length - FIRST - PIECE) / count
    piece, begin = "", -PIECE
    for number, record in zip(range(count), itertools.cycle(records), strict=False):
        start = FIRST + int(number * step)
        if start + len(record.ref) > begin + len(piece):
            begin = start
            piece = genome.fetch(contig, begin, min(begin + PIECE, length)).upper()
        ref = piece[start - begin : start - begin + len(record.ref)]
        alts = ",".join(_moved(alt, record.ref, ref) for alt in record.alts)
        fields = record.line.split("\t")
        yield "\t".join([contig, str(start + 1), fields[2], ref, alts, *fields[5:8]])


def _moved(alt: str, before: str, ref: str) -> str:
    """Return an allele of the same kind for another REF."""
    if not alt.isalpha():
        return alt
    if len(alt) == len(before):
        return ref[:-1] + "ACGTA"["ACGT".find(ref[-1]) + 1] if ref[-1] != "N" else alt
    return ref[0] + alt[1:]
