"""Embed the alleles of a file: one array, and a table that says whose rows are whose."""

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from genolm import __version__
from genolm.console import meter, say_more, warn
from genolm.data.build_check import BuildCheck
from genolm.data.columns import Column, Value
from genolm.data.edit_windows import GenomeWindows
from genolm.data.sites import Site, SiteReader
from genolm.data.variant_sources import VariantSource, is_variant_list, open_source
from genolm.data.variant_tables import SYNONYMS, VariantTable, is_variant_table, read_headings
from genolm.errors import InputError
from genolm.genome.aliases import ContigResolver
from genolm.genome.compression import open_decompressed
from genolm.genome.content import HEAD_BYTES, kind_of
from genolm.genome.fasta import Fasta
from genolm.genome.vcf import VcfRecord, pos_from_start
from genolm.scoring.array_rows import WriteRows as WriteArrayRows
from genolm.scoring.array_rows import open_rows
from genolm.scoring.contig_report import report_contigs
from genolm.scoring.embed_file import ROW, output_names
from genolm.scoring.fields import SKIP, Values
from genolm.scoring.model_files import model_digest, model_name
from genolm.scoring.runtime import Runtime
from genolm.scoring.scorer import choose_window
from genolm.scoring.site_features import SITE_WINDOW, SiteFeatures
from genolm.scoring.summary import Summary
from genolm.scoring.tables import WriteRows, open_table

ALLELE: Final = Column("allele", "integer")
REASON: Final = Column(SKIP, "text")
_ID: Final = Column("id", "text")
_LONG: Final = (
    Column("chrom", "text"),
    Column("pos", "integer"),
    _ID,
    Column("ref", "text"),
    Column("alt", "text"),
)

Chunk = list[tuple[VcfRecord, Site]]


@dataclass(frozen=True, slots=True)
class VariantEmbeddingJob:
    """Everything that embedding the alleles of a file needs to know.

    Attributes:
        input: VCF, BCF or a table of variants, or variants with commas between them; "-" is VCF on
            standard input.
        reference: FASTA.
        model: Folder of any model, the name of a bundled one, or a hub id.
        output: OUT of OUT.npy and OUT.parquet; a name that ends in .npy means the same.
        window: Bases in all; None for the model's own.
        site_window: See ``SiteFeatures``.
        layer: Likewise.
        both_strands: Likewise.
        runtime: How the model is run.
    """

    input: str
    reference: str
    model: str
    output: str
    window: int | None = None
    site_window: int = SITE_WINDOW
    layer: int | None = None
    both_strands: bool = False
    runtime: Runtime = field(default_factory=Runtime)


@dataclass(frozen=True, slots=True)
class VariantEmbeddingSummary:
    """What embedding the alleles of a file came to.

    Attributes:
        counts: Records, alleles and reasons; an allele with features counts as scored.
        width: Columns of the array.
        array: Its file; it has a row for every allele.
        table: The file of the table.
    """

    counts: Summary
    width: int
    array: str
    table: str

    def line(self) -> str:
        """Return the closing line."""
        counts = self.counts
        text = counts.line().replace(" scored, ", " embedded, ", 1)
        return f"{text}: {self.array} ({counts.alleles} x {self.width}), {self.table}"


def holds_variants(text: str, column: str, *, with_genome: bool) -> bool:
    """Say whether an input of ``genolm embed`` is variants, not sequences or intervals.

    Args:
        text: A file, "-", or variants with commas between them.
        column: The column that sequences stand in: a table that has it is one of sequences.
        with_genome: Whether a genome goes with it, without which "-" is FASTA.
    """
    if text == "-":
        return with_genome
    if is_variant_list(text):
        return True
    if is_variant_table(text):
        headings = [name.strip().lower() for name in read_headings(text)]
        is_there = [any(name in headings for name in names) for names in SYNONYMS.values()]
        return all(is_there) and column.lower() not in headings
    with open_decompressed(text) as stream:
        return kind_of(stream.read(HEAD_BYTES)) in ("a VCF file", "a BCF file")


def embed_variants_file(job: VariantEmbeddingJob) -> VariantEmbeddingSummary:
    """Embed every ALT allele of a file; both files are written whole or not at all.

    ``OUT.npy`` is float32 (alleles, 2 * width of the model), nan for alleles that were skipped.
    The table has a row for each of its rows: the variant (all columns of a table of variants,
    with ALT alone in its place), the number of the allele in its record from 1 on, its row of the
    array, and why it was skipped.

    Raises:
        UsageError: An option, or a file that is not there.
        InputError: The content of a file; nothing is published then.
    """
    job.runtime.check()
    names = output_names(job.output)
    with Fasta(job.reference) as fasta, open_source(job.input) as source:
        columns = _columns(source)
        model, _ = job.runtime.load(job.model)
        window = choose_window(model, job.window)
        genome = GenomeWindows(fasta)
        features = SiteFeatures(
            model,
            genome,
            window,
            site_window=job.site_window,
            layer=job.layer,
            both_strands=job.both_strands,
            batch_size=job.runtime.batch_size,
        )
        _say_how(job, window)
        resolver = ContigResolver(fasta.contigs, source.contig_lengths)
        sites = SiteReader(genome, resolver, window)
        check = BuildCheck(source.name, job.reference, strict=False, place=source.place)
        chunks = _chunks(source.records, sites, check, features.at_once)
        with (
            open_rows(names[0], features.width) as write_rows,
            open_table(names[1], columns, _origin(job, window)) as write_table,
        ):
            counts = _run(chunks, features, source.table, write_rows, write_table)
        report_contigs(resolver, sites, source, fasta)
    return VariantEmbeddingSummary(counts, features.width, *names)


def _run(
    chunks: Iterator[Chunk],
    features: SiteFeatures,
    table: VariantTable | None,
    write_rows: WriteArrayRows,
    write_table: WriteRows,
) -> Summary:
    counts = Summary()
    started = time.monotonic()
    with meter("embedding", "variants") as shown:
        for chunk in chunks:
            alleles = [allele for _, site in chunk for allele in site.alleles]
            write_rows(features.compute(alleles))
            write_table(_rows(chunk, table, counts.alleles))
            nothing: Values = {}
            counts.count([a if isinstance(a, str) else nothing for a in alleles], len(chunk))
            shown.advance(len(alleles))
    counts.seconds = time.monotonic() - started
    return counts


def _say_how(job: VariantEmbeddingJob, window: int) -> None:
    say_more(f"window {window}, {job.runtime.describe()}")
    if window < job.site_window:
        warn(
            f"windows of {window} bases are shorter than --site-window {job.site_window}: the"
            " states at their ends count several times"
        )


def _chunks(
    records: Iterator[VcfRecord], sites: SiteReader, check: BuildCheck, size: int
) -> Iterator[Chunk]:
    """Yield records with about ``size`` alleles together."""
    chunk: Chunk = []
    alleles = 0
    for record in itertools.chain(records, (None,)):
        if record is None or alleles >= size:
            if chunk:
                yield chunk
            chunk, alleles = [], 0
        if record is not None:
            site = sites.read(record.chrom, record.start, record.ref, record.alts)
            check.see(record, site)
            chunk.append((record, site))
            alleles += len(site.alleles)
    check.finish()


def _columns(source: VariantSource) -> list[Column]:
    """The columns of the table."""
    own = list(_LONG) if source.table is None else list(source.table.columns)
    names = {column.name for column in own}
    for new in (ALLELE, ROW, REASON):
        if new.name in names:
            raise InputError(f"{source.name}: has a column {new.name!r} already; rename it")
    return [*own, ALLELE, ROW, REASON]


def _rows(chunk: Chunk, table: VariantTable | None, row: int) -> Iterator[list[Value]]:
    for record, site in chunk:
        for number, (alt, allele) in enumerate(zip(record.alts, site.alleles, strict=True), 1):
            reason = allele if isinstance(allele, str) else "."
            yield [*_cells(record, alt, table), number, row, reason]
            row += 1


def _cells(record: VcfRecord, alt: str, table: VariantTable | None) -> Sequence[Value]:
    pos = pos_from_start(record.start)
    if table is None:
        return [record.chrom, pos, record.line.split("\t", 3)[2], record.ref, alt]
    cells = list(record.cells)
    cells[table.places[3]] = alt
    cells[table.places[1]] = pos
    return cells


def _origin(job: VariantEmbeddingJob, window: int) -> dict[str, str]:
    model = f"model {model_name(job.model)}, sha256 {model_digest(job.model)}"
    layer = "last" if job.layer is None else str(job.layer)
    strands = ", both strands" if job.both_strands else ""
    features = f"REF and ALT means of {job.site_window} positions, window {window}{strands}"
    return {"genolm": f"genolm {__version__}, {model}, layer {layer}, {features}"}
