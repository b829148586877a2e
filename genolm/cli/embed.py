"""``genolm embed``: sequences in, an array of embeddings out."""

from typing import Annotated, cast

import typer

from genolm.cli.model_option import MODEL_OPTION
from genolm.cli.score import parse_batch_size
from genolm.console import say, set_verbosity


def embed(
    sequences: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="FASTA, CSV, TSV or Parquet with a column of sequences, or BED; - is FASTA on"
            " stdin.",
        ),
    ],
    model: Annotated[str, MODEL_OPTION],
    output: Annotated[
        str,
        typer.Option("--output", "-o", help="OUT of OUT.npy (the array) and OUT.parquet (rows)."),
    ],
    reference: Annotated[
        str | None, typer.Option("--reference", "-r", help="The FASTA that a BED refers to.")
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
    batch_size: Annotated[str, typer.Option(help="Sequences a batch, or auto.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    dtype: Annotated[
        str, typer.Option(help="Of the linear layers: float32, bfloat16 or float16.")
    ] = "float32",
    seed: Annotated[int, typer.Option(help="Embedding draws nothing; kept for scripts.")] = 1,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads.", show_default="torch's choice")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what is wrong.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")] = False,
) -> None:
    """Embed sequences: the hidden states of a model, pooled over the bases of each sequence.

    OUT.npy holds float32 rows. OUT.parquet (OUT.tsv without pyarrow) has the columns of the input
    but for the bases, and embedding_row, the sequence's first row, and embedding_bases, its
    length; with --pool none a sequence has a row for each of its bases, else one. No sequence is
    padded or cut.

    Example: `genolm embed genes.fa -m ecoli-mamba-d128 -o embeddings`
    """
    set_verbosity(quiet=quiet, verbose=verbose)

    from genolm.scoring.embed_file import EmbeddingJob, embed_file
    from genolm.scoring.embeddings import Pool
    from genolm.scoring.runtime import Runtime

    job = EmbeddingJob(
        input=sequences,
        model=model,
        output=output,
        reference=reference,
        column=column,
        layer=layer,
        pool=cast(Pool, pool),
        runtime=Runtime(device, dtype, parse_batch_size(batch_size), threads, seed),
    )
    say(embed_file(job).line())
