"""Saturate regions of a genome: a FASTA and a region in, a file of scores out."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from genolm.console import meter, say, say_more, warn
from genolm.genome.fasta import Fasta
from genolm.scoring.background import check_background
from genolm.scoring.calibrator import apply_calibration
from genolm.scoring.fast import fast_account
from genolm.scoring.fast_store import FastStore
from genolm.scoring.identity import identity_of, provenance_of
from genolm.scoring.journal import Journal, resumed
from genolm.scoring.model_files import model_digest
from genolm.scoring.percentiles import percentile_fields
from genolm.scoring.ranks import Team
from genolm.scoring.runtime import Runtime
from genolm.scoring.saturate import RATIO_NAMES, SNVS_A_SITE, SiteScorer, Summary
from genolm.scoring.saturate_heading import Heading, SiteValue, saturation_fields
from genolm.scoring.saturate_output import check_saturation_output, open_saturation
from genolm.scoring.saturate_plot import check_plot, open_plot
from genolm.scoring.saturate_regions import Regions, open_regions


@dataclass(frozen=True, slots=True)
class SaturationJob:
    """Everything that one saturation needs to know.

    Attributes:
        region: ``chr20:1000-2000`` as samtools writes it, or the path of a BED or VCF file; the
            name of a gene where there is an annotation.
        reference: FASTA.
        model: A bundled name, a folder or a hub id.
        output: Its name tells the format; "-" is TSV on standard output.
        scores: Names from ``saturate.SCORE_NAMES``.
        window: Bases in all; None for the model's own.
        site_value: What a bedGraph or BigWig holds: "mean" of the absolute scores of a site,
            or "min".
        plot: A .png or .svg to draw as well, or None.
        annotation: GenBank, GFF3 or GTF that knows the gene, or None.
        fast: Whether the scores may be off by a stated error, for speed.
        restart: Compute all, also what is known from an interrupted run of the same job.
        calibrate: Background of the percentiles to add; see ``parse_background``. None adds none.
        runtime: How the model is run.
        command: The command line, for the provenance.
    """

    region: str
    reference: str
    model: str
    output: str
    scores: Sequence[str] = ("llr",)
    window: int | None = None
    site_value: str = "mean"
    plot: str | None = None
    annotation: str | None = None
    fast: bool = False
    restart: bool = False
    calibrate: str | None = None
    runtime: Runtime = field(default_factory=Runtime)
    command: str = "genolm.scoring.saturate_file"


def saturate_file(job: SaturationJob, team: Team | None = None) -> Summary:
    """Score every SNV of the regions and write them out, whole or not at all.

    Args:
        job: What to score, and how.
        team: The processes that share the work, of which this is one; None where it is alone.

    Returns:
        What it came to; of a process that does not write the output, nothing.

    Raises:
        UsageError: An option or a region, or a file that is not there.
        InputError: The content of a file; what was to be published is not.
    """
    job.runtime.check()
    fields = saturation_fields(job.scores)
    check_saturation_output(job.output, job.site_value)
    check_background(job.calibrate)
    if job.plot is not None:
        check_plot(job.plot)
    with (
        Fasta(job.reference) as fasta,
        open_regions(job.region, fasta, job.annotation) as regions,
    ):
        model, tokenizer = job.runtime.load(job.model)
        digest = model_digest(job.model)
        store = FastStore.beside(job.model, digest, fasta.index_md5())
        scorer = SiteScorer(
            model,
            tokenizer,
            fasta,
            scores=_computed(job.scores),
            window=job.window,
            batch_size=job.runtime.batch_size,
            fast=store if job.fast else None,
        )
        note = apply_calibration(job, scorer, model, fasta, fields=fields)
        if note is not None:
            fields = (*fields, *percentile_fields(fields))
        provenance = provenance_of(job, digest, fasta, scorer, note)
        heading = Heading(fields, provenance, fasta.contigs, cast(SiteValue, job.site_value))
        say_more(f"window {scorer.window}, {job.runtime.describe()}")
        identity = identity_of(
            provenance, fasta, scorer.window, job.scores, job.runtime, {"region": job.region}
        )
        part = team.part if team else ""
        with resumed(job.output, identity, scorer, restart=job.restart, part=part) as journal:
            if team is not None:
                return _run_together(team, job, fasta, scorer, heading, journal)
            summary = _run(job, regions, scorer, heading)
            summary.known = journal.recalled
        _report_contigs(regions, fasta)
    return summary


def _computed(scores: Sequence[str]) -> list[str]:
    """What is asked for, and all kinds of ratio where one is: they come out of the same passes."""
    ratios = RATIO_NAMES if set(scores) & set(RATIO_NAMES) else ()
    return list(dict.fromkeys((*ratios, *scores)))


def _run_together(
    team: Team,
    job: SaturationJob,
    fasta: Fasta,
    scorer: SiteScorer,
    heading: Heading,
    journal: Journal,
) -> Summary:
    started = time.monotonic()

    def compute() -> None:
        with (
            open_regions(job.region, fasta, job.annotation) as regions,
            meter("scoring", "SNVs") as shown,
        ):
            for _ in scorer.saturate(regions.intervals, shown.advance):
                pass

    def write() -> Summary:
        with open_regions(job.region, fasta, job.annotation) as regions:
            written = _run(job, regions, scorer, heading)
            _report_contigs(regions, fasta)
        return written

    summary = team.score(scorer, journal, compute, write) or Summary()
    summary.known = team.known() if team.leads else 0
    summary.seconds = time.monotonic() - started
    return summary


def _run(job: SaturationJob, regions: Regions, scorer: SiteScorer, heading: Heading) -> Summary:
    total = None if regions.bases is None else SNVS_A_SITE * regions.bases
    title = f"{job.region}, {heading.provenance.model}"
    with (
        open_plot(job.plot, title, heading.drawn) as draw,
        open_saturation(job.output, heading) as write,
        meter("scoring", "SNVs", total) as shown,
    ):
        summary = Summary(skipped=regions.skipped)
        for block in scorer.saturate(regions.intervals, shown.advance):
            write(block)
            draw(block)
            summary.count(block)
    summary.fast = fast_account(scorer.fast)
    return summary


def _report_contigs(regions: Regions, fasta: Fasta) -> None:
    if used := regions.resolver.aliases_used:
        pairs = ", ".join(f"{ours} as {theirs}" for ours, theirs in used.items())
        say(f"contigs found in {fasta.name} under another name: {pairs}")
    for reason in regions.resolver.refused.values():
        warn(f"{reason}: not the same contig")
