"""``genolm predict``: sequences in, a table with predictions out."""

from typing import Annotated

import typer

from genolm.cli import options
from genolm.cli.score import parse_batch_size
from genolm.console import say, set_verbosity


def predict(
    sequences: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="FASTA, CSV, TSV or Parquet with a column of sequences, or BED; - is FASTA on"
            " stdin.",
        ),
    ],
    model: Annotated[str, typer.Option("--model", "-m", help="Folder of a fine-tuned model.")],
    output: Annotated[
        str, typer.Option("--output", "-o", help=".tsv, .csv or .parquet; - is TSV on stdout.")
    ],
    reference: Annotated[
        str | None, typer.Option("--reference", "-r", help="The FASTA that a BED refers to.")
    ] = None,
    column: Annotated[
        str, typer.Option("--sequence", help="The column of a table that holds the bases.")
    ] = "sequence",
    probabilities: Annotated[
        bool,
        typer.Option(
            "--probabilities",
            help="Of a model of bases, add p_CLASS of every class, a number for each base.",
        ),
    ] = False,
    batch_size: Annotated[str, typer.Option(help="Sequences a batch, or auto.")] = "auto",
    device: options.Device = "auto",
    dtype: options.Dtype = "float32",
    seed: Annotated[int, typer.Option(help="Predicting draws nothing; kept for scripts.")] = 1,
    threads: options.Threads = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Predict labels of sequences with a fine-tuned model.

    The output has the columns of the input (the name, for FASTA; the interval, for BED), the
    prediction, and for a classifier the probability p_CLASS of every class. A model of bases
    predicts a string of classes, one character a base (or 0-12:background;12-40:exon), and with
    --probabilities p_CLASS of every base (0.98;0.91;0.04).

    Example: `genolm predict test.csv -m runs/promoters/model -o predicted.tsv`
    """
    set_verbosity(quiet=quiet, verbose=verbose)

    from genolm.scoring.predict_file import PredictionJob, predict_file
    from genolm.scoring.runtime import Runtime

    job = PredictionJob(
        input=sequences,
        model=model,
        output=output,
        reference=reference,
        column=column,
        probabilities=probabilities,
        runtime=Runtime(device, dtype, parse_batch_size(batch_size), threads, seed),
    )
    say(predict_file(job).line())
