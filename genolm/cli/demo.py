"""``genolm demo``: see the whole job work."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genolm.cli import options

if TYPE_CHECKING:
    from genolm.demo.run import Row

CLOSING = """\
"demo model" was trained just now; "bundled model" is {model}, which comes with genolm and
was trained for longer (its model card says how). Both read the first 75 % of this one genome, and
every number above is of its last 20 %, which neither has read; genes there can have relatives in
the rest.
What this shows: every step works on this machine, and the models stand beside what counting alone
reaches on the same held-out bases. Where counting is better, it says so.
What it does not show: a model for other species. Both have read one bacterial genome, the labels
come from open reading frames and not from annotation, and the scores of missense variants or of
human DNA would mean nothing. For research only."""


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
    verbose: options.Verbose = False,
) -> None:
    """Run the whole job on bundled DNA, without a network, in under two minutes.

    Pretrains a small causal Mamba on E. coli 536, fine-tunes it into a classifier and scores a
    VCF, does the same with the model that comes with genolm, and prints one table with the
    baselines beside each number. Leaves `pretrain/model`, `classifier/model`, `scored.vcf.gz` and
    a copy of the data in the output folder.

    Example: `genolm demo -o genolm-demo`
    """
    import time

    from genolm.console import format_seconds, say, set_verbosity
    from genolm.demo.bundle import BUNDLED_MODEL
    from genolm.demo.run import run_demo

    set_verbosity(quiet=quiet, verbose=verbose)
    started = time.monotonic()
    rows = run_demo(output, quick=quick, restart=restart)
    _print_table(rows)
    print("\n" + CLOSING.format(model=BUNDLED_MODEL))
    say(f"\ndone in {format_seconds(time.monotonic() - started)}; everything is in {output}")


def _print_table(rows: "list[Row]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="genolm demo: E. coli 536", title_justify="left")
    for heading in ("task (held-out data)", "number", "demo model", "bundled model", "baselines"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        beside = ", ".join(f"{name} {value:.3f}" for name, value in row.baselines.items())
        better = "lower is better" if row.figure == "bits per base" else "higher is better"
        figures = ("-" if one is None else f"{one:.3f}" for one in (row.demo, row.bundled))
        table.add_row(row.task, f"{row.figure} ({better})", *figures, beside)
    Console(highlight=False).print(table)
