"""Score variants of a file: records in, annotated records out, in order and in constant memory."""

import itertools
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from genolm.console import meter, say_more, warn
from genolm.data.build_check import BuildCheck
from genolm.data.sites import SiteReader
from genolm.data.variant_sources import VariantSource, open_source
from genolm.errors import InputError
from genolm.genome.aliases import ContigResolver
from genolm.genome.fasta import Fasta
from genolm.genome.regions import Regions
from genolm.genome.vcf import VcfRecord
from genolm.scoring.background import check_background
from genolm.scoring.calibrator import apply_calibration
from genolm.scoring.chunks import Chunk, read_chunks
from genolm.scoring.collector import sparing_collector
from genolm.scoring.consequence_column import ConsequenceColumn
from genolm.scoring.contig_report import report_contigs
from genolm.scoring.fast import fast_account
from genolm.scoring.fast_store import FastStore
from genolm.scoring.fields import check_scores
from genolm.scoring.identity import identity_of, provenance_of
from genolm.scoring.journal import Journal, resumed
from genolm.scoring.model_files import model_digest
from genolm.scoring.ranks import Team
from genolm.scoring.read_ahead import read_ahead
from genolm.scoring.runtime import Runtime
from genolm.scoring.shards import SHARD_BLOCK, Shard
from genolm.scoring.summary import Summary
from genolm.scoring.variants import CHUNK, VariantScorer
from genolm.scoring.vcf_output import Provenance
from genolm.scoring.writers import Annotation, check_output, open_writer

__all__ = ["ScoringJob", "Summary", "score_file"]


@dataclass(frozen=True, slots=True)
class ScoringJob:
    """Everything that one scoring of a file needs to know.

    Attributes:
        vcf: VCF, BCF or a table of variants, or variants with commas between them; "-" is VCF on
            standard input.
        reference: FASTA.
        model: A bundled name, a folder or a hub id.
        output: Its name tells the format; "-" is standard output, as VCF where a VCF came in and
            as TSV where not.
        scores: Names from ``NAMES``; none means what the model is for.
        window: Bases in all; None for the model's own.
        layer: Hidden states that distances are taken between; None is the final normed ones.
        regions: Score and write only records whose POS lies in them; see ``Regions.parse``.
        strict: Whether the first wrong REF ends the run.
        restart: Compute all alleles, also those known from an interrupted run of the same job.
        shard: (i, n) with i from 0: of every n blocks of 64 records, score and write the one
            numbered i. ``merge_files`` joins the outputs again.
        fast: Whether likelihood ratios may be off by a stated error, for speed.
        annotation: GFF3, GTF or GenBank whose transcripts give a consequence; None for none.
        genetic_code: NCBI's number of the genetic code where the annotation does not say.
        calibrate: Background of the percentiles to add; see ``parse_background``. None adds none.
        runtime: How the model is run.
        command: The command line, for the header.
    """

    vcf: str
    reference: str
    model: str
    output: str
    scores: Sequence[str] = ()
    window: int | None = None
    layer: int | None = None
    regions: str | None = None
    strict: bool = False
    restart: bool = False
    shard: tuple[int, int] = (0, 1)
    fast: bool = False
    annotation: str | None = None
    genetic_code: int = 1
    calibrate: str | None = None
    runtime: Runtime = field(default_factory=Runtime)
    command: str = "genolm.scoring.score_file"


@dataclass(frozen=True, slots=True)
class _Engine:
    fasta: Fasta
    scorer: VariantScorer
    column: ConsequenceColumn | None
    provenance: Provenance


def score_file(job: ScoringJob, team: Team | None = None) -> Summary:
    """Score every allele of a VCF and write it out, whole or not at all.

    Args:
        job: What to score, and how.
        team: The processes that share the work, of which this is one; None where it is alone.

    Returns:
        What it came to; of a process that does not write the output, nothing.

    Raises:
        UsageError: An option, or a file that is not there.
        InputError: The content of a file; what was to be published is not.
    """
    job.runtime.check()
    check_scores(job.scores)
    check_output(job.output)
    check_background(job.calibrate)
    regions = None if job.regions is None else Regions.parse(job.regions)
    with Fasta(job.reference) as fasta, open_source(job.vcf, regions) as source:
        engine = _make_engine(job, fasta)
        scorer = engine.scorer
        say_more(f"window {scorer.window}, {job.runtime.describe()}")
        identity = identity_of(
            engine.provenance,
            fasta,
            scorer.window,
            job.scores,
            job.runtime,
            {"layer": job.layer, "regions": job.regions},
        )
        part = team.part if team else ""
        with (
            sparing_collector(),
            resumed(job.output, identity, scorer, restart=job.restart, part=part) as journal,
        ):
            if team is not None:
                return _score_together(team, job, engine, journal)
            summary = _score(job, _Passage(job, source, engine))
            summary.known = journal.recalled
    return summary


def _score_together(team: Team, job: ScoringJob, engine: _Engine, journal: Journal) -> Summary:
    regions = None if job.regions is None else Regions.parse(job.regions)

    def compute() -> None:
        with (
            open_source(job.vcf, regions) as source,
            closing(_Passage(job, source, engine).chunks) as chunks,
            meter("scoring", "variants") as shown,
        ):
            for chunk in chunks:
                engine.scorer.score(chunk.alleles, shown.advance)

    def write() -> Summary:
        with open_source(job.vcf, regions) as source:
            return _score(job, _Passage(job, source, engine))

    started = time.monotonic()
    summary = team.score(engine.scorer, journal, compute, write) or Summary()
    summary.known = team.known() if team.leads else 0
    summary.seconds = time.monotonic() - started
    return summary


def _make_engine(job: ScoringJob, fasta: Fasta) -> _Engine:
    column = _consequences(job, fasta)
    model, tokenizer = job.runtime.load(job.model)
    digest = model_digest(job.model)
    store = FastStore.beside(job.model, digest, fasta.index_md5())
    scorer = VariantScorer(
        model,
        tokenizer,
        fasta,
        scores=job.scores,
        window=job.window,
        layer=job.layer,
        batch_size=job.runtime.batch_size,
        fast=store if job.fast else None,
    )
    note = apply_calibration(job, scorer, model, fasta, layer=job.layer)
    shard = Shard(*job.shard, SHARD_BLOCK) if job.shard[1] > 1 else None
    provenance = provenance_of(job, digest, fasta, scorer, note, shard)
    return _Engine(fasta, scorer, column, provenance)


class _Passage:
    """Once through the records of a source."""

    def __init__(self, job: ScoringJob, source: VariantSource, engine: _Engine) -> None:
        contigs = engine.fasta.contigs
        source.declare(contigs)
        self.source = source
        self.engine = engine
        self.resolver = ContigResolver(contigs, source.contig_lengths)
        self.sites = SiteReader(engine.scorer.genome, self.resolver, engine.scorer.window)
        check = BuildCheck(source.name, job.reference, strict=job.strict, place=source.place)
        self.chunks = _chunks(job, source, self.sites, check)
        if source.is_file:
            self.chunks = read_ahead(self.chunks)


def _score(job: ScoringJob, passage: _Passage) -> Summary:
    source, engine = passage.source, passage.engine
    annotation = Annotation(
        (*engine.scorer.all_fields, *(engine.column.fields if engine.column else ())),
        engine.provenance,
        source.header,
        source.columns,
        source.newline,
        source.table,
        tabular=not source.is_vcf,
    )
    with closing(passage.chunks) as chunks:
        summary = _run(job, chunks, engine, annotation)
    if job.regions is not None and not summary.records:
        warn(f"no record of {source.name} lies in --regions {job.regions}")
    report_contigs(passage.resolver, passage.sites, source, engine.fasta)
    return summary


def _consequences(job: ScoringJob, fasta: Fasta) -> ConsequenceColumn | None:
    if job.annotation is None:
        return None
    return ConsequenceColumn(job.annotation, fasta, code=job.genetic_code)


def _run(
    job: ScoringJob, chunks: Iterator[Chunk], engine: _Engine, annotation: Annotation
) -> Summary:
    summary = Summary()
    started = time.monotonic()
    first = next(chunks)  # judged before the output, which may be a pipe, is begun
    with open_writer(job.output, annotation) as write, meter("scoring", "variants") as shown:
        for chunk in itertools.chain([first], chunks):
            results = engine.scorer.score(chunk.alleles, shown.advance)
            if engine.column is not None:
                results = engine.column.add(chunk.alleles, results)
            end = 0
            for record in chunk.records:
                begin, end = end, end + len(record.alts)
                write(record, results[begin:end])
            summary.count(results, len(chunk.records))
    summary.seconds = time.monotonic() - started
    summary.fast = fast_account(engine.scorer.fast)
    return summary


def _chunks(
    job: ScoringJob, source: VariantSource, sites: SiteReader, check: BuildCheck
) -> Generator[Chunk, None, None]:
    number, count = job.shard
    records: Iterator[VcfRecord] = source.records
    if count > 1:
        records = (one for i, one in enumerate(records) if i // SHARD_BLOCK % count == number)
    try:
        yield from read_chunks(records, sites, check, CHUNK)
    except InputError as error:
        fate = "standard output is incomplete" if job.output == "-" else "nothing was published"
        raise InputError(f"{error}; {fate}") from error
