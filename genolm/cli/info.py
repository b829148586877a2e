"""``genolm info``: what a model is, and which published sizes there are."""

from typing import Annotated, Any

import typer


def info(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="Folder, model that comes with genolm, hub id, or the name of a published size;"
            " without it, all published sizes are listed.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Say what a model is: family, sizes, task, longest sequence, and where its weights are from.

    Example: `genolm info caduceus-ps-131k`
    """
    import json
    from pathlib import Path

    from genolm.errors import UsageError
    from genolm.models.describe import describe_model, describe_preset, describe_presets
    from genolm.models.presets import ALIASES, PRESETS

    if model is None:
        rows = describe_presets()
        if as_json:
            print(json.dumps(rows, indent=2))
        else:
            _print_sizes(rows)
        return
    if model in PRESETS or model in ALIASES:
        facts = describe_preset(model)
    else:
        try:
            facts = describe_model(model)
        except UsageError as error:
            hint = (
                "" if Path(model).exists() else f"; published sizes: {', '.join(sorted(ALIASES))}"
            )
            raise UsageError(f"{error}{hint}") from None
    if as_json:
        print(json.dumps(facts, indent=2))
    else:
        _print_facts(facts)


def _print_facts(facts: dict[str, Any]) -> None:
    shown = {name: _text(value) for name, value in facts.items() if value not in (None, [])}
    width = max(map(len, shown))
    for name, text in shown.items():
        print(f"{name.replace('_', ' '):{width}}  {text}")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {item}" for name, item in value.items())
    return str(value)


def _print_sizes(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "parameters", "layers", "d_model", "longest input")
    for row in rows:
        longest = "any" if row["max_length"] is None else f"{row['max_length']:,}"
        name = min(row["short_names"], key=len)
        count = f"{row['parameters']:,}"
        table.add_row(name, count, str(row["n_layer"]), str(row["d_model"]), longest)
    Console(highlight=False, markup=False).print(table)
    print("`genolm info NAME` has more; recipes take a name as model.preset")
