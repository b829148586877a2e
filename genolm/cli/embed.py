"""``genolm embed``: sequences in, an array of embeddings out."""

from typing import Annotated, cast

import typer

from genolm.cli import options
from genolm.cli.score import parse_batch_size
from genolm.console import say, set_verbosity
from genolm.errors import UsageError


def embed(
    sequences: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="FASTA, CSV, TSV or Parquet with a column of sequences, or BED; - is FASTA on"
            " stdin. Or variants, as `genolm score` takes them: VCF or BCF (- with -r), a table"
            " with chrom, pos, ref and alt, chr20:1024:A>C.",
        ),
    ],
    model: options.Model,
    output: Annotated[
        str,
        typer.Option("--output", "-o", help="OUT of OUT.npy (the array) and OUT.parquet (rows)."),
    ],
    reference: Annotated[
        str | None,
        typer.Option("--reference", "-r", help="The FASTA that a BED or variants refer to."),
    ] = None,
    column: Annotated[
        str, typer.Option("--sequence", help="The column of a table that holds the bases.")
    ] = "sequence",
    layer: Annotated[
        int | None,
        typer.Option(
            help="Index into the model's hidden states; 0 is the embedding, -1 the last.",
            show_default="the final normed states",
        ),
    ] = None,
    pool: Annotated[
        str, typer.Option(help="mean, max, first or last of the bases; none keeps them all.")
    ] = "mean",
    site_window: Annotated[
        int | None,
        typer.Option(
            help="Of variants: positions around the site whose states are averaged, an odd number.",
            show_default="1537",
        ),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(
            help="Of variants: bases in all that the model reads.",
            show_default="the length the model was trained on, else 1024 or the model's maximum",
        ),
    ] = None,
    both_strands: Annotated[
        bool,
        typer.Option(
            "--both-strands",
            help="Of variants: average the features of both strands (equivariant models have both"
            " at once).",
        ),
    ] = False,
    batch_size: Annotated[str, typer.Option(help="Sequences a batch, or auto.")] = "auto",
    device: options.Device = "auto",
    dtype: options.Dtype = "float32",
    seed: Annotated[int, typer.Option(help="Embedding draws nothing; kept for scripts.")] = 1,
    threads: options.Threads = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Embed sequences or variants: the hidden states of a model, averaged.

    OUT.npy holds float32 rows. OUT.parquet (OUT.tsv without pyarrow) has the columns of the input
    but for the bases, and embedding_row, the sequence's first row, and embedding_bases, its
    length; with --pool none a sequence has a row for each of its bases, else one. No sequence is
    padded or cut.

    Variants have a row for every ALT allele: the mean of the states around the site in the window
    with REF, then that with ALT (1,537 positions each, as in the eQTL task of the genomics
    long-range benchmark), nan where GENOLM_SKIP says why there is none.

    Example: `genolm embed genes.fa -m ecoli-mamba-d128 -o embeddings`
    """
    set_verbosity(quiet=quiet, verbose=verbose)

    from genolm.scoring.embed_file import EmbeddingJob, embed_file
    from genolm.scoring.embed_variants_file import (
        VariantEmbeddingJob,
        embed_variants_file,
        holds_variants,
    )
    from genolm.scoring.embeddings import Pool
    from genolm.scoring.runtime import Runtime
    from genolm.scoring.site_features import SITE_WINDOW

    runtime = Runtime(device, dtype, parse_batch_size(batch_size), threads, seed)
    runtime.check()
    if holds_variants(sequences, column, with_genome=reference is not None):
        if reference is None:
            raise UsageError(f"{sequences}: variants need the genome they refer to (-r FASTA)")
        if pool != "mean":
            raise UsageError(f"--pool {pool} is for sequences; variants have --site-window")
        variants = VariantEmbeddingJob(
            input=sequences,
            reference=reference,
            model=model,
            output=output,
            window=window,
            site_window=SITE_WINDOW if site_window is None else site_window,
            layer=layer,
            both_strands=both_strands,
            runtime=runtime,
        )
        say(embed_variants_file(variants).line())
        return
    if site_window is not None or window is not None or both_strands:
        raise UsageError("--site-window, --window and --both-strands are for variants")
    job = EmbeddingJob(
        input=sequences,
        model=model,
        output=output,
        reference=reference,
        column=column,
        layer=layer,
        pool=cast(Pool, pool),
        runtime=runtime,
    )
    say(embed_file(job).line())
