"""``genolm saturate``: a region in, the score of its every SNV out."""

import os
import shlex
import sys
from typing import Annotated

import typer

from genolm.cli import options
from genolm.cli.score import parse_batch_size, parse_window
from genolm.cli.termination import ending_on_sigterm
from genolm.console import say, set_verbosity


def saturate(
    region: Annotated[
        str,
        typer.Argument(
            metavar="REGION",
            help="chr20:1000-2000 (1-based, both ends included), chr20:1000- (to the end), chr20"
            " (all of it); a BED file; a VCF, whose REF bases are the sites; or, with --annotation,"
            " the name of a gene.",
        ),
    ],
    *,
    reference: options.Genome,
    model: options.Model,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            "-O",
            help=".tsv, .csv (or either with .gz), .parquet, .vcf, .vcf.gz (with tabix index),"
            " .bcf, .npz, .bedgraph, .bw (BigWig); - is TSV on stdout.",
        ),
    ],
    annotation: Annotated[
        str | None, typer.Option(help="GenBank, GFF3 or GTF in which REGION is a gene.")
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option(help="Draw a heat map under a track of letters too: .png or .svg."),
    ] = None,
    scores: Annotated[
        str,
        typer.Option(
            help="Comma-separated: llr, llr_strands (each strand by itself), screen (a first-order"
            " approximation of llr for ranking, causal Mamba only)."
        ),
    ] = "llr",
    bedgraph_value: Annotated[
        str,
        typer.Option(
            help="What a bedGraph or BigWig holds for a base: the mean of the absolute scores of"
            " its three SNVs (mean), or the lowest score (min)."
        ),
    ] = "mean",
    calibrate: options.Calibrate = None,
    window: options.Window = None,
    distance: options.Distance = None,
    batch_size: Annotated[str, typer.Option(help="Windows a batch, or auto.")] = "auto",
    device: options.Device = "auto",
    dtype: options.Dtype = "float32",
    seed: options.CalibrationSeed = 1,
    threads: options.Threads = None,
    fast: options.Fast = False,
    restart: options.RestartScoring = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Score every single-base substitution (SNV) of a region, three for each base.

    The numbers are those of `genolm score`: GENOLM_LLR, the log-likelihood ratio of ALT to REF
    (natural log, negative = the model finds ALT less likely). Bases other than A, C, G, T have no
    SNVs and are counted as skipped. An .npz holds scores (sites, 4) in the order A, C, G, T with
    nan at the reference base, ref, positions (0-based), and chrom, start, end of each interval.
    A run that was stopped leaves .OUT.genolm-journal, from which the same command goes on;
    torchrun divides the work as it does for `genolm score`.

    Example: `genolm saturate chr20:1,000-2,000 -r genome.fa -m runs/yeast/model -o snvs.vcf.gz
    --plot snvs.png`
    """
    set_verbosity(quiet=quiet, verbose=verbose)
    wanted = [name.strip() for name in scores.split(",") if name.strip()]

    with ending_on_sigterm() as ending:  # also while torch is imported, which takes seconds
        from genolm.scoring.ranks import joined_team
        from genolm.scoring.runtime import Runtime
        from genolm.scoring.saturate_file import SaturationJob, saturate_file

        job = SaturationJob(
            region=region,
            reference=reference,
            model=model,
            output=output,
            scores=wanted,
            window=parse_window(window, distance),
            site_value=bedgraph_value,
            plot=plot,
            annotation=annotation,
            fast=fast,
            restart=restart,
            calibrate=calibrate,
            runtime=Runtime(device, dtype, parse_batch_size(batch_size), threads, seed),
            command=shlex.join(["genolm", *sys.argv[1:]]),
        )
        with joined_team(os.environ, device, source=region, output=output) as team:
            say(saturate_file(job, team).line())
    return ending.code
