"""Where a gene lies, by its name: from GenBank, or from GFF3 and GTF line by line.

A GFF file is searched without the sequences that it describes, which may be a whole genome.
"""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from genolm.errors import InputError, UsageError
from genolm.genome.aliases import ContigResolver
from genolm.genome.annotated import Feature, read_annotated
from genolm.genome.compression import open_decompressed, source_name
from genolm.genome.content import HEAD_BYTES, kind_of
from genolm.genome.fasta import Fasta
from genolm.genome.interval import Interval
from genolm.genome.vcf import pos_from_start, start_from_pos

_NAME_KEYS: Final = {"gene", "gene_name", "Name", "gene_id", "ID", "locus_tag"}
_ATTRIBUTE: Final = re.compile(r'\s*([^=\s;]+)(?:=|\s+)"?([^";]*)"?')
_NAMED: Final = 5  # places that a message lists


def find_gene(
    name: str, annotation: str | Path, fasta: Fasta, resolver: ContigResolver
) -> Interval:
    """Return the span of a gene; of its other features together where there is no gene feature.

    Args:
        name: As the annotation writes it: a name, a locus tag or an identifier.
        annotation: GenBank, GFF3 or GTF; plain, gzip or bgzip.
        fasta: The genome.
        resolver: Knows the genome's contigs.

    Raises:
        UsageError: The annotation is missing, has no such gene, or has it in several places.
        InputError: The annotation is malformed, or does not belong to the genome.
    """
    found = list(_features(name, annotation))
    genes = [one for one in found if one.type.endswith("gene")] or _joined(found)
    places = list(dict.fromkeys((one.chrom, one.start, one.end) for one in genes))
    if not places:
        raise UsageError(f"{source_name(annotation)} has no gene {name!r}")
    if len(places) > 1:
        listed = ", ".join(f"{chrom}:{pos_from_start(s)}-{e}" for chrom, s, e in places[:_NAMED])
        raise UsageError(f"{name} is in {len(places)} places ({listed}): name one of them instead")
    chrom, start, end = places[0]
    contig = resolver.resolve(chrom)
    if contig is None or end > fasta.contigs[contig]:
        raise InputError(
            f"{source_name(annotation)}: {name} is at {chrom}:{pos_from_start(start)}-{end}, which"
            f" {fasta.name} does not have (another genome build?)"
        )
    return Interval(contig, start, end, name=name)


def _features(name: str, annotation: str | Path) -> Iterator[Feature]:
    with open_decompressed(annotation) as stream:
        kind = kind_of(stream.read(HEAD_BYTES))
    if kind == "a GenBank file":
        yield from (one for one in read_annotated(annotation).features if one.name == name)
    elif kind in ("a GFF file", None):  # GTF has no mark of its own
        yield from _gff_features(name, annotation)
    else:
        raise InputError(f"{source_name(annotation)} is {kind}; GenBank, GFF3 or GTF is needed")


def _gff_features(name: str, path: str | Path) -> Iterator[Feature]:
    with io.TextIOWrapper(open_decompressed(path), "utf-8", "surrogateescape") as text:
        for number, line in enumerate(text, 1):
            if line.startswith(("##FASTA", ">")):
                return
            if not line.strip() or line.startswith("#"):
                continue
            row = line.rstrip("\r\n").split("\t")
            if len(row) != 9 or not (row[3].isdecimal() and row[4].isdecimal()):
                raise InputError(
                    f"{source_name(path)}:{number}: a GFF line has nine columns with whole numbers"
                    " in 4 and 5"
                )
            start, end = start_from_pos(int(row[3])), int(row[4])
            if not 0 <= start < end:
                raise InputError(
                    f"{source_name(path)}:{number}: {row[3]}-{row[4]} is no span of bases"
                )
            if (name in line or "%" in line) and _is_called(name, row[8]):
                yield Feature(row[0], start, end, name=name, type=row[2])


def _is_called(name: str, attributes: str) -> bool:
    return any(
        key in _NAME_KEYS and name in (unquote(value), unquote(value).removeprefix("gene:"))
        for key, value in _ATTRIBUTE.findall(attributes)
    )


def _joined(parts: list[Feature]) -> list[Feature]:
    """Span the parts on each contig."""
    spans: dict[str, Feature] = {}
    for part in parts:
        known = spans.get(part.chrom, part)
        start, end = min(known.start, part.start), max(known.end, part.end)
        spans[part.chrom] = Feature(part.chrom, start, end, name=part.name, type=part.type)
    return list(spans.values())
