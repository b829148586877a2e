"""``genolm finetune``: a recipe and labelled sequences to a classifier or regressor."""

from typing import Annotated

import typer

from genolm.cli import options
from genolm.cli.termination import ending_on_sigterm


def finetune(
    recipe: Annotated[
        str, typer.Argument(help="A recipe file, or the name of one of `genolm recipes list`.")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE", help="Keys to change: `train.epochs=3 model.path=DIR`."
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
    """Train a classifier or regressor on labelled sequences.

    A tenth of the train part chooses the epoch that is kept; the test part is judged once, at the
    end, beside the majority, k-mers and the length alone. The same command goes on where it was
    stopped. The output folder gets `model/`, `metrics.json`, `test_predictions.tsv`,
    `metrics.jsonl`, `recipe.yaml` and `checkpoints/`. A recipe with `search: {trials: 20, space:
    {train.learning_rate: [1e-4, 1e-2, log]}}` tries values first and keeps the best by the held-out
    part (needs optuna: `pip install 'genolm[tune]'`).

    Example: `genolm finetune yeast_promoters model.path=runs/yeast/model output=runs/promoters`
    """
    from genolm.console import set_verbosity
    from genolm.training.recipe_files import load_finetune_recipe

    set_verbosity(quiet=quiet, verbose=verbose)
    given = list(overrides or ()) + ([] if threads is None else [f"train.threads={threads}"])
    read = load_finetune_recipe(recipe, given)

    from genolm.training.finetune import finetune as run

    with ending_on_sigterm() as ending:
        run(read, restart=restart, device=device)
    return ending.code
