"""``genolm score``: variants in, the same with scores out."""

import os
import shlex
import sys
from typing import Annotated, Literal

import typer

from genolm.cli import options
from genolm.cli.termination import ending_on_sigterm
from genolm.console import say, set_verbosity
from genolm.errors import UsageError

BatchSize = int | Literal["auto"]


def parse_batch_size(text: str) -> BatchSize:
    """Read ``--batch-size``.

    Raises:
        UsageError: The text is neither "auto" nor a number.
    """
    if text == "auto":
        return "auto"
    if not text.isdecimal():
        raise UsageError(f"--batch-size {text}: a number, or auto")
    return int(text)


def _choose_input(argument: str | None, option: str | None) -> str:
    if (argument is None) == (option is None):
        raise UsageError("name one VCF, as `genolm score VCF ...` or with -I; '-' is stdin")
    return argument or option or "-"


def _choose_output(output: str | None, variants: str) -> str:
    if output is not None:
        return output
    from genolm.data.variant_sources import is_variant_list

    if not is_variant_list(variants):
        raise UsageError("name the output with --output (-o); '-' is stdout")
    return "-"


def parse_window(window: int | None, distance: int | None) -> int | None:
    """Read ``--window`` and ``--distance``: bases in all, None for the model's own.

    Raises:
        UsageError: Both are given, or the distance is negative.
    """
    if window is not None and distance is not None:
        raise UsageError("--window and --distance say the same thing: give one of them")
    if distance is not None and distance < 0:
        raise UsageError(f"--distance {distance}: at least 0")
    return window if distance is None else 2 * distance + 1


def score(
    vcf: Annotated[
        str | None,
        typer.Argument(
            metavar="VARIANTS",
            help="VCF, VCF.gz or BCF (- is stdin); TSV, CSV or Parquet with columns chrom, pos, ref"
            " and alt; or variants such as chr20:1024:A>C,20-1030-G-T.",
        ),
    ] = None,
    *,
    reference: options.Genome,
    model: options.Model,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            "-O",
            help=".vcf, .vcf.gz (with tabix index), .bcf, .tsv, .csv, .parquet, .jsonl, .bed or"
            " .bedgraph; - is stdout, as VCF where a VCF came in, else as TSV.",
            show_default="stdout for variants on the command line",
        ),
    ] = None,
    vcf_option: Annotated[
        str | None, typer.Option("--input", "-I", help="The VCF, as SpliceAI names it.")
    ] = None,
    scores: Annotated[
        str,
        typer.Option(
            help="Comma-separated: llr, llr_strands (each strand by itself), wild_type (one pass"
            " for all variants of a window), screen (a first-order approximation of llr for ranking"
            " dense variants, causal Mamba only), dist, dist_cosine, dist_site, dist_site_cosine"
            " (of the hidden states), delta (of a classifier's outputs), effect (what a model"
            " that was fine-tuned on variants says).",
            show_default="llr of a language model, delta of a classifier, effect of a model of"
            " variants",
        ),
    ] = "",
    layer: Annotated[
        int | None,
        typer.Option(
            help="Hidden states for dist: 0 is the embedding, -1 the last.",
            show_default="the final normed states",
        ),
    ] = None,
    calibrate: options.Calibrate = None,
    window: options.Window = None,
    distance: options.Distance = None,
    batch_size: Annotated[str, typer.Option(help="Windows a batch, or auto.")] = "auto",
    device: options.Device = "auto",
    dtype: options.Dtype = "float32",
    seed: options.CalibrationSeed = 1,
    threads: options.Threads = None,
    regions: Annotated[
        str | None,
        typer.Option(
            metavar="chr20:1-1000,chr21|BED",
            help="Score and write only records whose POS lies in these; an index is used.",
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first REF that is not in the FASTA.")
    ] = False,
    shard: Annotated[
        str,
        typer.Option(
            metavar="i/n",
            help="Score and write only every n-th block of 64 records, from block i (0 to n-1);"
            " `genolm merge` joins the outputs.",
        ),
    ] = "0/1",
    fast: options.Fast = False,
    restart: options.RestartScoring = False,
    annotation: Annotated[
        str | None,
        typer.Option(
            help="GFF3, GTF or GenBank, plain or gzip: adds GENOLM_CSQ, the most severe consequence"
            " over all its transcripts (stop_gained, missense_variant, ...), and GENOLM_GENE."
        ),
    ] = None,
    genetic_code: Annotated[
        int,
        typer.Option(
            help="NCBI's number of it, for coding sequences without transl_table; mitochondria have"
            " their own."
        ),
    ] = 1,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Score variants by how much less (or more) likely a model finds ALT than REF.

    Every record comes out, in order and unchanged but for what is appended to INFO: GENOLM_LLR,
    the log-likelihood ratio (natural log, negative = ALT is less likely), and GENOLM_SKIP, why an
    allele has none. A table keeps its columns and gets these after them; .jsonl, .bed and
    .bedgraph have a line for every allele or site. With --calibrate, GENOLM_LLR_PCT is the percent
    of random SNVs of the same trinucleotide change that have a lower score, for SNVs.

    A run that was stopped (SIGTERM, Ctrl-C, kill, a full disk) leaves no half output but
    .OUT.genolm-journal beside it, from which the same command goes on.

    Several processes share the work where torchrun starts them, each on its own GPU, and write
    the one output: `torchrun --nproc-per-node 4 -m genolm score ...`

    Example: `genolm score in.vcf.gz -r genome.fa -m runs/yeast/model -o scored.vcf.gz`
    """
    set_verbosity(quiet=quiet, verbose=verbose)
    chosen = _choose_input(vcf, vcf_option)
    wanted = [name.strip() for name in scores.split(",") if name.strip()]

    with ending_on_sigterm() as ending:  # also while torch is imported, which takes seconds
        from genolm.scoring.ranks import joined_team
        from genolm.scoring.runtime import Runtime
        from genolm.scoring.score_file import ScoringJob, score_file
        from genolm.scoring.shards import parse_shard

        job = ScoringJob(
            vcf=chosen,
            reference=reference,
            model=model,
            output=_choose_output(output, chosen),
            scores=wanted,
            window=parse_window(window, distance),
            layer=layer,
            regions=regions,
            strict=strict,
            shard=parse_shard(shard),
            fast=fast,
            restart=restart,
            annotation=annotation,
            genetic_code=genetic_code,
            calibrate=calibrate,
            runtime=Runtime(device, dtype, parse_batch_size(batch_size), threads, seed),
            command=shlex.join(["genolm", *sys.argv[1:]]),
        )
        with joined_team(
            os.environ, device, source=job.vcf, output=job.output, divided=job.shard[1] > 1
        ) as team:
            say(score_file(job, team).line())
    return ending.code
