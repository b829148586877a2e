"""``genolm saturate``: a region in, the score of its every SNV out."""

import os
import shlex
import sys
from typing import Annotated

import typer

from genolm.cli.fast_option import FAST_OPTION
from genolm.cli.model_option import MODEL_OPTION
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
    reference: Annotated[
        str, typer.Option("--reference", "-r", "-R", help="FASTA, plain or bgzipped.")
    ],
    model: Annotated[str, MODEL_OPTION],
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
        str, typer.Option(help="Comma-separated: llr, llr_strands (each strand by itself).")
    ] = "llr",
    bedgraph_value: Annotated[
        str,
        typer.Option(
            help="What a bedGraph or BigWig holds for a base: the mean of the absolute scores of"
            " its three SNVs (mean), or the lowest score (min)."
        ),
    ] = "mean",
    calibrate: Annotated[
        str | None,
        typer.Option(
            metavar="BACKGROUND",
            help="Add percentiles (GENOLM_LLR_PCT, ...) among background SNVs of the same"
            " trinucleotide change: random (9,600 drawn from the genome, equally many of every"
            " change), random:N, a VCF, BCF or table of variants, or a kept calibration. Kept"
            " beside the model, or in the user's cache, and used again.",
            show_default="no percentiles",
        ),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(
            help="Bases in all.",
            show_default="the length the model was trained on, else 1024 or the model's maximum",
        ),
    ] = None,
    distance: Annotated[
        int | None,
        typer.Option("--distance", "-D", help="Bases on either side: a window of 2N + 1."),
    ] = None,
    batch_size: Annotated[str, typer.Option(help="Windows a batch, or auto.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    dtype: Annotated[
        str, typer.Option(help="Of the linear layers: float32, bfloat16 or float16.")
    ] = "float32",
    seed: Annotated[
        int, typer.Option(help="Of the SNVs that --calibrate random draws; scoring draws nothing.")
    ] = 1,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads.", show_default="torch's choice")
    ] = None,
    fast: Annotated[bool, FAST_OPTION] = False,
    restart: Annotated[
        bool,
        typer.Option(
            "--restart",
            help="Compute all anew, also what an interrupted run left beside the output.",
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what is wrong.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")] = False,
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
