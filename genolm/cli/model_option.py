"""The ``--model`` of commands that take any trained model."""

import typer

from genolm.bundled import bundled_names

HELP = f"Folder of a model, a hub id, or a model that comes with genolm: {bundled_names()}."

MODEL_OPTION = typer.Option("--model", "-m", help=HELP)
