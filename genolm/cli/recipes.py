"""``genolm recipes``: what recipes are shipped, and what is in them."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

app = typer.Typer(
    help="The shipped recipes, to be run by name or copied and changed.", no_args_is_help=True
)


class Kind(StrEnum):
    """What a recipe is for."""

    PRETRAIN = "pretrain"
    FINETUNE = "finetune"


@app.command("list")
def list_recipes() -> None:
    """List the shipped recipes, with the first line of each.

    Example: `genolm recipes list`
    """
    from genolm.training.recipe_files import describe_recipe, shipped_recipes

    shipped = shipped_recipes()
    width = max((len(name) for name in shipped), default=0)
    for name, file in shipped.items():
        print(f"{name:<{width}}  {describe_recipe(file)}")


@app.command("show")
def show_recipe(
    name: Annotated[str, typer.Argument(help="A name of `genolm recipes list`.")],
) -> None:
    """Print a recipe; save it to a file to change it.

    Example: `genolm recipes show pretrain/yeast_caduceus > my.yaml`
    """
    from genolm.training.recipe_files import find_recipe

    sys.stdout.write(find_recipe(name).read_text(encoding="utf-8"))


@app.command("keys")
def show_keys(
    kind: Annotated[Kind, typer.Argument(help="pretrain or finetune.")],
) -> None:
    """Print every key of a recipe, its default and what it means.

    Example: `genolm recipes keys pretrain`
    """
    from genolm.training.recipe_keys import describe_keys

    rows = list(describe_keys(kind.value))
    key_width, default_width = (max(len(row[column]) for row in rows) for column in (0, 1))
    for key, default, meaning in rows:
        print(f"{key:<{key_width}}  {default:<{default_width}}  {meaning}")
