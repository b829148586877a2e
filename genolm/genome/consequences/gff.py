"""Transcripts of a GFF3 or GTF file, row by row."""

import io
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote

from genolm.errors import InputError
from genolm.genome.compression import open_decompressed, source_name
from genolm.genome.consequences.codons import genetic_code
from genolm.genome.consequences.contigs import AnnotatedContigs
from genolm.genome.consequences.drafts import CodingRows, Draft
from genolm.genome.consequences.transcript import Transcript
from genolm.genome.vcf import start_from_pos

Value = Callable[[str, str], str]  # of the attribute column and a key; empty where there is none

_EXONS: Final = re.compile(r"(noncoding_|pseudogenic_|coding_)?exon", re.IGNORECASE)
_REGIONS: Final = re.compile(r"((five|three)_prime_)?(coding_exon_)?UTR|[53]'?_?UTR", re.IGNORECASE)
_NODES: Final = re.compile(r".*(gene|gene_segment|transcript|RNA)", re.IGNORECASE)
_GENES: Final = re.compile(r".*gene", re.IGNORECASE)
_GTF: Final = re.compile(r"\s*\w+\s+[^\s=]")
_NAMES: Final = ("gene_name", "gene", "Name", "locus_tag", "gene_id", "ID")
_PATTERNS: Final[dict[str, re.Pattern[str]]] = {}


class Row(NamedTuple):
    """One feature; 0-based, half-open."""

    place: str
    contig: str
    type: str
    start: int
    end: int
    reverse: bool
    phase: int
    attributes: str


class Node(NamedTuple):
    """A gene or a transcript, as its own row tells it."""

    start: int
    end: int
    reverse: bool
    is_gene: bool
    parent: str
    name: str


def gff3_value(attributes: str, key: str) -> str:
    """Return the value of an attribute as GFF3 writes it (``key=value;``), empty where absent."""
    if attributes.startswith(f"{key}="):
        begin = len(key) + 1
    else:
        at = attributes.find(f";{key}=")
        if at < 0:
            at = attributes.find(f"; {key}=")
            if at < 0:
                return ""
            begin = at + len(key) + 3
        else:
            begin = at + len(key) + 2
    value = attributes[begin:].partition(";")[0]
    return unquote(value) if "%" in value else value


def gtf_value(attributes: str, key: str) -> str:
    """Return the value of an attribute as GTF writes it (``key "value";``), empty where absent."""
    pattern = _PATTERNS.get(key)
    if pattern is None:
        pattern = _PATTERNS[key] = re.compile(rf'(?:^|;)\s*{key} +"?([^";]*)')
    found = pattern.search(attributes)
    return found[1] if found else ""


def gff_transcripts(
    path: str | Path, contigs: AnnotatedContigs, code: int
) -> dict[str, list[Transcript]]:
    """Read the transcripts of each contig.

    Args:
        path: GFF3 or GTF; plain, gzip or bgzip.
        contigs: Those of the genome.
        code: NCBI's number of the genetic code where nothing else is said.

    Raises:
        InputError: A line is malformed, or does not fit the genome.
    """
    reader = _GffReader(contigs)
    for row in _rows(path, contigs):
        reader.add(row)
    return reader.finish(code)


def _rows(path: str | Path, contigs: AnnotatedContigs) -> Iterator[Row]:
    source = source_name(path)
    with io.TextIOWrapper(open_decompressed(path), "utf-8", "surrogateescape") as text:
        for number, line in enumerate(text, 1):
            if line.startswith(("##FASTA", ">")):
                return
            if line.startswith("##sequence-region"):
                _check_region(line, f"{source}:{number}", contigs)
            elif line.strip() and not line.startswith("#"):
                row = _parse(line, f"{source}:{number}", contigs)
                if row is not None:
                    yield row


def _check_region(line: str, place: str, contigs: AnnotatedContigs) -> None:
    fields = line.split()
    if len(fields) == 4 and fields[3].isdecimal():
        contig = contigs.find(fields[1])
        if contig is not None and int(fields[3]) > contigs.length(contig):
            contigs.check_length(place, contig, int(fields[3]))


def _parse(line: str, place: str, contigs: AnnotatedContigs) -> Row | None:
    fields = line.rstrip("\r\n").split("\t")
    if len(fields) != 9 or not (fields[3].isdecimal() and fields[4].isdecimal()):
        raise InputError(
            f"{place}: a GFF line has nine columns, tabs between them, and whole numbers in 4 and 5"
        )
    contig = contigs.find(fields[0])
    if contig is None:
        return None
    start, end = start_from_pos(int(fields[3])), int(fields[4])
    attributes = fields[8]
    if "Is_circular=true" in attributes:
        contigs.circular.add(contig)
    contigs.check(place, contig, start, end)
    phase = int(fields[7]) if fields[7] in ("0", "1", "2") else 0
    return Row(place, contig, fields[2], start, end, fields[6] == "-", phase, attributes)


class _GffReader:
    def __init__(self, contigs: AnnotatedContigs) -> None:
        self._contigs = contigs
        self._drafts: dict[tuple[str, str], Draft] = {}
        self._nodes: dict[tuple[str, str], Node] = {}
        self._parents: set[tuple[str, str]] = set()
        self._value: Value | None = None
        self._is_gtf = False
        self._adders: dict[str, Callable[[Row], None]] = {
            "CDS": self._add_coding,
            "stop_codon": self._add_stop,
        }

    def add(self, row: Row) -> None:
        """Take in a row."""
        if self._value is None:
            self._is_gtf = _GTF.match(row.attributes) is not None
            self._value = gtf_value if self._is_gtf else gff3_value
        if row.type not in self._adders:
            self._adders[row.type] = self._adder(row.type)
        self._adders[row.type](row)

    def _adder(self, kind: str) -> Callable[[Row], None]:
        if _EXONS.fullmatch(kind) or _REGIONS.fullmatch(kind):
            return self._add_exon
        return self._add_node if _NODES.fullmatch(kind) else _ignore

    def _get(self, row: Row, key: str) -> str:
        assert self._value is not None
        return self._value(row.attributes, key)

    def _owners(self, row: Row) -> Iterable[str]:
        """The transcripts that a row is a part of."""
        if self._is_gtf:
            return (self._get(row, "transcript_id") or self._get(row, "gene_id"),)
        return self._get(row, "Parent").split(",")

    def _draft(self, row: Row, owner: str) -> Draft:
        key = (row.contig, owner)
        found = self._drafts.get(key)
        if found is None:
            found = self._drafts[key] = Draft(row.contig, row.reverse, self._name(row))
            self._parents.add(key)
            if self._is_gtf:
                self._parents.add((row.contig, self._get(row, "gene_id")))
        return found

    def _name(self, row: Row) -> str:
        found = next((value for key in _NAMES if (value := self._get(row, key))), "")
        return found.removeprefix("gene:")

    def _add_exon(self, row: Row) -> None:
        for owner in self._owners(row):
            if owner:
                self._draft(row, owner).exons.extend((row.start, row.end))

    def _add_stop(self, row: Row) -> None:
        for owner in self._owners(row):
            if self._is_gtf and owner:
                self._draft(row, owner).stops.extend((row.start, row.end))

    def _add_coding(self, row: Row) -> None:
        if self._get(row, "pseudo") == "true" or "pseudogene=" in row.attributes:
            return
        identifier = self._get(row, "ID")
        for owner in self._owners(row):
            draft = self._draft(row, owner or identifier or row.place)
            key = "" if self._is_gtf else identifier
            coding = draft.coding.get(key)
            if coding is None:
                coding = draft.coding[key] = CodingRows(code=self._code(row))
            coding.rows.extend((row.start, row.end, row.phase))
            coding.has_begin &= self._has_begin(row)

    def _code(self, row: Row) -> int:
        text = self._get(row, "transl_table")
        if not text:
            return 0
        if not text.isdecimal():
            raise InputError(f"{row.place}: transl_table {text!r} is no number of a genetic code")
        return genetic_code(int(text)).number

    def _has_begin(self, row: Row) -> bool:
        """Whether nothing says that the coding sequence goes on before its first row."""
        if "cds_start_NF" in row.attributes:
            return False
        if not self._get(row, "partial"):
            return True
        at_start, at_end = self._get(row, "start_range"), self._get(row, "end_range")
        return not (at_end.endswith(".") if row.reverse else at_start.startswith("."))

    def _add_node(self, row: Row) -> None:
        is_gene = _GENES.fullmatch(row.type) is not None
        if self._is_gtf:
            gene = self._get(row, "gene_id")
            identifier = gene if is_gene else self._get(row, "transcript_id")
            parent = "" if is_gene else gene
        else:
            identifier = self._get(row, "ID") or row.place
            parent = self._get(row, "Parent").partition(",")[0]
        if not identifier:
            return
        node = Node(row.start, row.end, row.reverse, is_gene, parent, self._name(row))
        self._nodes[row.contig, identifier] = node
        if parent:
            self._parents.add((row.contig, parent))

    def finish(self, code: int) -> dict[str, list[Transcript]]:
        """Return the transcripts of each contig."""
        found: dict[str, list[Transcript]] = {}
        for (contig, owner), draft in self._drafts.items():
            node = self._nodes.get((contig, owner))
            one = self._is_gtf or (node is not None and not node.is_gene)
            one = one or (node is None and len(draft.coding) == 1)
            gene = self._gene(contig, owner) or draft.gene
            transcripts = draft.finish(gene, self._contigs, code, one=one)
            found.setdefault(contig, []).extend(transcripts)
        for (contig, identifier), node in self._nodes.items():
            if (contig, identifier) not in self._parents:
                alone = Draft(contig, node.reverse)
                alone.exons.extend((node.start, node.end))
                gene = self._gene(contig, identifier)
                transcripts = alone.finish(gene, self._contigs, code, one=True)
                found.setdefault(contig, []).extend(transcripts)
        return found

    def _gene(self, contig: str, identifier: str) -> str:
        """Name of the gene above, or of what stands highest; empty where nothing does."""
        name = ""
        seen: set[str] = set()
        while (node := self._nodes.get((contig, identifier))) and identifier not in seen:
            seen.add(identifier)
            name = node.name or name
            identifier = node.parent
        return name


def _ignore(row: Row) -> None:
    pass
