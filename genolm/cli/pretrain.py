"""``genolm pretrain``: a recipe and a genome to a language model."""

from typing import Annotated

import typer

from genolm.cli import options
from genolm.cli.termination import ending_on_sigterm


def pretrain(
    recipe: Annotated[
        str, typer.Argument(help="A recipe file, or the name of one of `genolm recipes list`.")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE", help="Keys to change: `train.steps=200 data.train=[I,II]`."
        ),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew, whatever the output folder holds.")
    ] = False,
    device: options.Device = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads, as train.threads.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings and errors.")] = False,
    verbose: options.Verbose = False,
) -> int:
    """Train a language model on a genome.

    The same command goes on where it was stopped (Ctrl-C, SIGTERM, a crash). The output folder gets
    `model/`, `metrics.json` (loss and bits per base on held-out contigs, beside count models),
    `metrics.jsonl`, `recipe.yaml` and `checkpoints/`.

    Under torchrun, each process takes its share of every batch (train.batch_size counts all of it):
    `torchrun --nproc-per-node 2 -m genolm pretrain RECIPE`. With train.sequence_ranks they share
    the length of the windows, with train.sharding=fsdp the weights.

    Example: `genolm pretrain yeast_mamba data.fasta=yeast.fa.gz train.steps=500 output=runs/yeast`
    """
    from genolm.console import set_verbosity
    from genolm.training.recipe_files import load_pretrain_recipe

    set_verbosity(quiet=quiet, verbose=verbose)
    given = list(overrides or ()) + ([] if threads is None else [f"train.threads={threads}"])
    read = load_pretrain_recipe(recipe, given)

    from genolm.training.pretrain import pretrain as run

    with ending_on_sigterm() as ending:
        run(read, restart=restart, device=device)
    return ending.code
