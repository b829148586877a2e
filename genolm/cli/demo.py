"""``genolm demo``: see the whole job work."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from genolm.demo.run import Row

CLOSING = """\
What this shows: every step works on this machine, and a model trained for a minute stands beside
what counting alone reaches on the same held-out bases. Where counting is better, it says so.
What it does not show: a model worth using. It has read one bacterial genome for a minute, its
labels come from open reading frames and not from annotation, and its scores mean nothing for any
other species. For research only."""


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for everything that is made.")
    ] = Path("genolm-demo"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Train for seconds: shows the steps, not the numbers.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Repeat the steps that are already done.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the table only.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")] = False,
) -> None:
    """Run the whole job on bundled DNA, without a network, in under two minutes.

    Pretrains a small causal Mamba on E. coli 536, fine-tunes it into a classifier, scores a VCF,
    and prints one table with the baselines beside each number. Leaves `pretrain/model`,
    `classifier/model`, `scored.vcf.gz` and a copy of the data in the output folder.

    Example: `genolm demo -o genolm-demo`
    """
    import time

    from genolm.console import format_seconds, say, set_verbosity
    from genolm.demo.run import run_demo

    set_verbosity(quiet=quiet, verbose=verbose)
    started = time.monotonic()
    rows = run_demo(output, quick=quick, restart=restart)
    _print_table(rows)
    print(f"\n{CLOSING}")
    say(f"\ndone in {format_seconds(time.monotonic() - started)}; everything is in {output}")


def _print_table(rows: "list[Row]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="genolm demo: E. coli 536", title_justify="left")
    for heading in ("task (held-out data)", "number", "model", "baselines"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        beside = ", ".join(f"{name} {value:.3f}" for name, value in row.baselines.items())
        better = "lower is better" if row.figure == "bits per base" else "higher is better"
        table.add_row(row.task, f"{row.figure} ({better})", f"{row.model:.3f}", beside)
    Console(highlight=False).print(table)
