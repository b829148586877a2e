"""``genolm merge``: the outputs of shards in, one output in the input's order out."""

import shlex
import sys
from typing import Annotated

import typer

from genolm.cli import options
from genolm.cli.termination import ending_on_sigterm
from genolm.console import say, set_verbosity


def merge(
    parts: Annotated[
        list[str],
        typer.Argument(metavar="PART...", help="Outputs of every shard, in any order."),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help=".vcf, .vcf.gz (with index), .bcf, .tsv, .csv or .parquet, as the parts are.",
        ),
    ],
    quiet: options.Quiet = False,
) -> int:
    """Join the outputs of `genolm score --shard`, with every record once and in the input's order.

    All parts must be there, once, and be of the same model, reference, input and options. But for
    the lines that say where it is from, the result is what one run without --shard would write.

    Example: `genolm merge 0.vcf.gz 1.vcf.gz -o scored.vcf.gz`
    """
    set_verbosity(quiet=quiet, verbose=False)

    from genolm.scoring.merge_files import merge_files

    with ending_on_sigterm() as ending:
        written = merge_files(parts, output, shlex.join(["genolm", *sys.argv[1:]]))
        say(f"{written} records or rows from {len(parts)} parts")
    return ending.code
