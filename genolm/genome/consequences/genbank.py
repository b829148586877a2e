"""Transcripts of a GenBank file, record by record."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genolm.errors import InputError
from genolm.genome.compression import open_decompressed, source_name
from genolm.genome.consequences.codons import code_of_contig, genetic_code
from genolm.genome.consequences.contigs import AnnotatedContigs
from genolm.genome.consequences.transcript import (
    Coding,
    Part,
    Transcript,
    make_coding,
    make_transcripts,
)


@dataclass
class _Feature:
    """A feature with its parts in the order of reading."""

    type: str
    parts: list[Part]
    qualifiers: dict[str, str]
    has_begin: bool
    used: bool = False

    @property
    def locus(self) -> str:
        """What features of one gene share."""
        return self.qualifiers.get("locus_tag") or self.qualifiers.get("gene") or ""

    @property
    def name(self) -> str:
        """Name of the gene."""
        keys = ("gene", "locus_tag", "product")
        return next((self.qualifiers[key] for key in keys if self.qualifiers.get(key)), "")

    @property
    def is_pseudo(self) -> bool:
        """Whether it makes no protein."""
        return "pseudo" in self.qualifiers or "pseudogene" in self.qualifiers


def genbank_transcripts(
    path: str | Path, contigs: AnnotatedContigs, code: int
) -> dict[str, list[Transcript]]:
    """Read the transcripts of each contig, one record in memory at a time.

    Args:
        path: GenBank; plain, gzip or bgzip.
        contigs: Those of the genome.
        code: NCBI's number of the genetic code where nothing else is said.

    Raises:
        InputError: The file is malformed, or does not fit the genome.
    """
    from Bio import SeqIO

    parse: Any = SeqIO.parse  # has no type hints
    source = source_name(path)
    found: dict[str, list[Transcript]] = {}
    with io.TextIOWrapper(open_decompressed(path), "utf-8", "surrogateescape") as text:
        try:
            for record in parse(text, "genbank"):
                contig = _find(record, contigs)
                if contig is not None:
                    contigs.check_length(source, contig, len(record.seq))
                    features = list(_features(record))
                    found.setdefault(contig, []).extend(_transcripts(features, contig, code))
        except InputError:
            raise
        except (ValueError, AssertionError) as error:  # what Biopython raises for malformed files
            raise InputError(f"{source}: malformed GenBank file ({error})") from error
    return found


def _find(record: Any, contigs: AnnotatedContigs) -> str | None:
    """The FASTA may call a record by accession with or without version, or by LOCUS."""
    names = dict.fromkeys((record.id, record.id.partition(".")[0], record.name))
    found = [contig for name in names if (contig := contigs.find(name)) is not None]
    if found:
        for name in names:
            contigs.missing.pop(name, None)
        return found[0]
    for name in list(names)[1:]:
        contigs.missing.pop(name, None)
    return None


def _features(record: Any) -> Iterator[_Feature]:
    from Bio.SeqFeature import AfterPosition, BeforePosition, UnknownPosition

    for feature in record.features:
        located = feature.location.parts if feature.location is not None else []
        edges = [edge for part in located for edge in (part.start, part.end)]
        if not edges or any(isinstance(edge, UnknownPosition) for edge in edges):
            continue
        if any(part.ref is not None for part in located):
            continue  # a part on another record is not ours to read
        parts = [Part(int(p.start), int(p.end), p.strand == -1) for p in located]
        first = located[0]
        if first.strand == -1:
            has_begin = not isinstance(first.end, AfterPosition)
        else:
            has_begin = not isinstance(first.start, BeforePosition)
        values = {key: value[0] for key, value in feature.qualifiers.items() if value}
        yield _Feature(feature.type, [p for p in parts if p.start < p.end], values, has_begin)


def _transcripts(features: Sequence[_Feature], contig: str, code: int) -> Iterator[Transcript]:
    messengers: dict[str, list[_Feature]] = {}
    for one in _of_type(features, "mRNA"):
        messengers.setdefault(one.locus, []).append(one)
    loci: set[str] = set()
    for one in _of_type(features, "CDS"):
        if not one.is_pseudo:
            loci.add(one.locus)
            exons = _exons(one, messengers.get(one.locus, ()))
            yield from make_transcripts(one.name, exons, _coding(one, contig, code))
    for one in _of_type(features, "RNA", "prim_transcript"):
        if not one.used:
            loci.add(one.locus)
            yield from make_transcripts(one.name, one.parts, None)
    for one in _of_type(features, "gene"):
        if one.locus not in loci:
            yield from make_transcripts(one.name, one.parts, None)


def _of_type(features: Sequence[_Feature], *ends: str) -> Iterator[_Feature]:
    return (one for one in features if one.type.endswith(ends))


def _coding(feature: _Feature, contig: str, code: int) -> Coding:
    table = feature.qualifiers.get("transl_table", "")
    number = genetic_code(int(table)).number if table.isdecimal() else code_of_contig(contig, code)
    begin = feature.qualifiers.get("codon_start", "1")
    skip = int(begin) - 1 if begin in ("1", "2", "3") else 0
    return make_coding(contig, feature.parts, skip=skip, code=number, has_begin=feature.has_begin)


def _exons(coding: _Feature, messengers: Sequence[_Feature]) -> list[Part]:
    """The exons of the mRNA of the same gene that has just these coding bases, or these alone."""
    spans = sorted((part.start, part.end) for part in coding.parts)
    low, high = spans[0][0], max(end for _, end in spans)
    fitting = [
        one
        for one in messengers
        if sorted(
            (max(part.start, low), min(part.end, high))
            for part in one.parts
            if part.start < high and part.end > low
        )
        == spans
    ]
    if not fitting:
        return coding.parts
    chosen = next((one for one in fitting if not one.used), fitting[0])
    chosen.used = True
    return chosen.parts
