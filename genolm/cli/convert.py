"""``genolm convert``: official and original checkpoints in, a genolm or hub folder out."""

from typing import Annotated, Literal

import typer

from genolm.cli import options
from genolm.console import say, set_verbosity


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A Hugging Face folder, an original HyenaDNA folder (weights.ckpt), a Lightning"
            " checkpoint (.ckpt), a .bin or .safetensors file, or a hub id.",
        ),
    ],
    output: Annotated[str, typer.Option("--output", "-o", help="Folder to write.")],
    config: Annotated[
        str | None,
        typer.Option(
            help="JSON file with the model's options.",
            show_default="config.json or model_config.json beside the weights",
        ),
    ] = None,
    to: Annotated[
        Literal["genolm", "hub-layout"],
        typer.Option(
            help="genolm: a folder for every verb here and for transformers. hub-layout: one that"
            " the original code of the family reads.",
        ),
    ] = "genolm",
    seed: Annotated[int, typer.Option(help="Of a head that the checkpoint does not have.")] = 0,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the folder if there is one.")
    ] = False,
    quiet: options.Quiet = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Name every tensor.")] = False,
) -> None:
    """Convert a published or original checkpoint of HyenaDNA or Caduceus.

    Pickled checkpoints are read for their tensors alone: nothing that they name is run, and one
    that asks for it is refused. What was mapped, ignored and initialised is printed and kept in
    conversion.json; a checkpoint that lacks a tensor of the backbone is an error.

    Example: `genolm convert hyenadna-tiny-1k-seqlen/weights.ckpt -o hyenadna-tiny-1k`
    """
    set_verbosity(quiet=quiet, verbose=verbose)

    from genolm.models.convert_folder import convert_folder

    found = convert_folder(source, output, config=config, layout=to, seed=seed, force=force)
    for line in found.lines(every=verbose):
        print(line)
    say(f"wrote {output}")
