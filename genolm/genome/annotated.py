"""Sequences with their annotation: GenBank files, and FASTA with GFF3 or GTF."""

import io
import itertools
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from genolm.errors import InputError
from genolm.genome.aliases import ContigResolver
from genolm.genome.compression import open_decompressed, source_name
from genolm.genome.content import HEAD_BYTES, kind_of
from genolm.genome.interval import Interval
from genolm.genome.vcf import start_from_pos

_NAME_KEYS = ("gene", "Name", "locus_tag", "gene_name", "gene_id", "ID", "product", "note")
_ATTRIBUTE = re.compile(r'\s*([^=\s;]+)(?:=|\s+)"?([^";]*)"?')


@dataclass(frozen=True, slots=True)
class Feature(Interval):
    """An annotated interval; 0-based, half-open.

    Attributes:
        type: What it is, as the file calls it: gene, CDS, tRNA, ...
    """

    type: str = ""


class Annotation(NamedTuple):
    """What ``read_annotated`` returns.

    Attributes:
        sequences: Sequence of each contig, in the case of the file, in file order.
        features: The features in file order; one for each part of a feature in several parts.
    """

    sequences: dict[str, str]
    features: list[Feature]


def read_annotated(
    path: str | Path,
    gff: str | Path | None = None,
    *,
    types: Collection[str] | None = None,
    flank: int = 0,
) -> Annotation:
    """Read sequences and features from GenBank, or from FASTA and GFF.

    Args:
        path: A GenBank file; or a FASTA file that ``gff`` annotates; or a GFF3 file that holds its
            sequences in a ``##FASTA`` section. Plain, gzip or bgzip, told apart by content.
        gff: A GFF3 or GTF file, when ``path`` is FASTA. Contig aliases are resolved.
        types: Feature types to keep; None keeps all but ``source`` and ``region``, which are
            whole contigs.
        flank: Number of bases to add on both sides of each feature, up to the contig's ends.

    Raises:
        UsageError: A file is missing.
        InputError: A file is malformed, or features and sequences do not belong together.
        ValueError: ``flank`` is negative.
    """
    if flank < 0:
        raise ValueError(f"flank is a number of bases, not {flank}")
    kind = _kind(path)
    if kind == "a GenBank file":
        sequences, features = _read_genbank(path)
    elif kind == "a GFF file":
        sequences, features = _read_gff(path, {})
    elif gff is None:
        raise InputError(f"{source_name(path)}: FASTA alone has no features; give its GFF file too")
    else:
        sequences, features = _read_gff(gff, _read_fasta(path))
    wanted = [feature for feature in features if _is_wanted(feature, types)]
    return Annotation(sequences, [_extended(feature, flank, sequences) for feature in wanted])


def _kind(path: str | Path) -> str:
    with open_decompressed(path) as stream:
        kind = kind_of(stream.read(HEAD_BYTES))
    if kind not in ("a GenBank file", "a GFF file", "a FASTA file"):
        raise InputError(
            f"{source_name(path)} is {kind or 'of an unknown kind'}; "
            "GenBank, FASTA or GFF3 is needed here"
        )
    return kind


def _is_wanted(feature: Feature, types: Collection[str] | None) -> bool:
    return feature.type not in ("source", "region") if types is None else feature.type in types


def _extended(feature: Feature, flank: int, sequences: Mapping[str, str]) -> Feature:
    end = min(feature.end + flank, len(sequences[feature.chrom]))
    return replace(feature, start=max(feature.start - flank, 0), end=end)


def _read_genbank(path: str | Path) -> tuple[dict[str, str], list[Feature]]:
    from Bio import SeqIO

    parse: Any = SeqIO.parse  # has no type hints
    sequences: dict[str, str] = {}
    features: list[Feature] = []
    with io.TextIOWrapper(open_decompressed(path), "utf-8", "surrogateescape") as text:
        try:
            for record in parse(text, "genbank"):
                sequences[record.id] = str(record.seq)
                features.extend(_genbank_features(record))
        except InputError:
            raise
        except (ValueError, AssertionError) as error:  # what Biopython raises for malformed files
            raise InputError(f"{source_name(path)}: malformed GenBank file ({error})") from error
    if not any(sequences.values()):
        raise InputError(f"{source_name(path)}: no sequence (download the full GenBank record)")
    return sequences, features


def _genbank_features(record: Any) -> Iterator[Feature]:
    for feature in record.features:
        values = {key: value[0] for key, value in feature.qualifiers.items() if value}
        for part in feature.location.parts:
            strand = "-" if part.strand == -1 else "+"
            start, end = int(part.start), int(part.end)
            if part.ref is None:  # a part on another record is not ours to give
                yield Feature(record.id, start, end, strand, _name(values), feature.type)


def _name(values: Mapping[str, str]) -> str | None:
    return next((values[key] for key in _NAME_KEYS if values.get(key)), None)


def _read_fasta(path: str | Path) -> dict[str, str]:
    with io.TextIOWrapper(open_decompressed(path), "utf-8", "surrogateescape") as text:
        return _sequences(text, source_name(path))


def _sequences(text: Iterator[str], source: str) -> dict[str, str]:
    from Bio.SeqIO import FastaIO

    parse: Any = FastaIO.SimpleFastaParser  # has no type hints
    sequences: dict[str, str] = {}
    for title, sequence in parse(text):
        name = (title.split(maxsplit=1) or [""])[0]
        if not name or name in sequences:
            raise InputError(f"{source}: contig name {name!r} is empty or there twice")
        sequences[name] = sequence
    return sequences


def _read_gff(path: str | Path, sequences: dict[str, str]) -> tuple[dict[str, str], list[Feature]]:
    """Read GFF3 or GTF; a ``##FASTA`` section adds to ``sequences``."""
    source = source_name(path)
    rows: list[tuple[str, list[str]]] = []
    with io.TextIOWrapper(open_decompressed(path), "utf-8", "surrogateescape") as text:
        for number, line in enumerate(text, 1):
            if line.startswith(("##FASTA", ">")):
                rest = itertools.chain([line] if line.startswith(">") else [], text)
                sequences = sequences | _sequences(rest, source)
                break
            if line.strip() and not line.startswith("#"):
                rows.append((f"{source}:{number}", line.rstrip("\r\n").split("\t")))
    if not sequences:
        raise InputError(f"{source}: no sequences in this GFF file; give the FASTA file too")
    resolver = ContigResolver({name: len(sequence) for name, sequence in sequences.items()})
    return sequences, [_gff_feature(row, place, resolver, sequences) for place, row in rows]


def _gff_feature(
    row: list[str], place: str, resolver: ContigResolver, sequences: Mapping[str, str]
) -> Feature:
    if len(row) != 9 or not (row[3].isdigit() and row[4].isdigit()):
        raise InputError(f"{place}: a GFF line has nine columns with whole numbers in 4 and 5")
    chrom = resolver.resolve(row[0])
    if chrom is None:
        raise InputError(f"{place}: contig {row[0]!r} is not in the FASTA file")
    start, end = start_from_pos(int(row[3])), int(row[4])
    if not 0 <= start < end <= len(sequences[chrom]):
        raise InputError(
            f"{place}: {row[3]}-{row[4]} does not lie on {chrom} ({len(sequences[chrom]):,} bases)"
        )
    values = {key: unquote(value) for key, value in _ATTRIBUTE.findall(row[8])}
    return Feature(chrom, start, end, "-" if row[6] == "-" else "+", _name(values), row[2])
