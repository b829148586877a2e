"""``genolm data``: what a genome, a split or a labelled set is, and what is wrong with it."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:  # reading sequences takes numpy, and --help needs none
    from genolm.data.audit import Audit

app = typer.Typer(
    help="What a genome, a split or a labelled set is, and what is wrong with it.",
    no_args_is_help=True,
)

JSON_OPTION = typer.Option("--json", help="Print JSON instead of a table.")


@app.command("info")
def show_info(
    fasta: Annotated[list[str], typer.Argument(help="Genomes: FASTA, plain or bgzip.")],
    length: Annotated[int, typer.Option(min=1, help="Bases of a window.")] = 1024,
    max_n_fraction: Annotated[
        float, typer.Option(min=0, max=1, help="Windows with more N are not counted.")
    ] = 0.1,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Print the contigs of a genome: bases, N, GC, lower case and windows.

    Example: `genolm data info genome.fa.gz --length 8192`

    Of several genomes, every row begins with the file it is of.
    """
    import json
    from dataclasses import asdict

    from genolm.data.genome_info import describe_contigs
    from genolm.data.genome_store import open_store

    several = len(fasta) > 1
    rows = []
    for path in fasta:
        with open_store(path) as store:
            rows += [(path, row) for row in describe_contigs(store, length, max_n_fraction)]
    if as_json:
        shown = [({"genome": path} if several else {}) | asdict(row) for path, row in rows]
        print(json.dumps(shown, indent=2))
        return
    print("genome\t" * several + "contig\tbases\tN\tGC\tlower_case\twindows")
    for path, row in rows:
        columns = (row.name, row.bases, row.n, f"{row.gc_share:.4f}", row.lower_case, row.windows)
        print(f"{path}\t" * several + "\t".join(map(str, columns)))


@app.command("check")
def check(
    recipe: Annotated[
        str, typer.Argument(help="A pretraining recipe file, or the name of a shipped one.")
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Keys to change.")
    ] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Cut genomes into train, valid and test as a recipe would, and say what each part holds.

    Unknown contigs and parts without a window are errors, and so are parts that share bases; with
    data.overlap=warn it is told which, and how many.

    Example: `genolm data check yeast_mamba data.fasta=yeast.fa.gz`
    """
    import json
    from dataclasses import asdict

    from genolm.console import say
    from genolm.training.recipe_files import load_pretrain_recipe

    read = load_pretrain_recipe(recipe, list(overrides or ()))

    from genolm.training.check import check_splits

    rows, notes = check_splits(read)
    if as_json:
        print(json.dumps({"splits": [asdict(row) for row in rows], "notes": notes}, indent=2))
        return
    several = len(read.data.listed) > 1
    print("genome\t" * several + "split\twindows\tbases\tcontigs\tleft_out")
    for row in rows:
        left = ", ".join(f"{count:,} {reason}" for reason, count in row.dropped.items()) or "."
        print(f"{row.genome}\t" * several, end="")
        print(f"{row.name}\t{row.windows}\t{row.bases}\t{','.join(row.contigs)}\t{left}")
    for note in notes:
        say(note)


def _print_audit(found: "Audit") -> None:
    classes = ", ".join(f"{name} {count:,}" for name, count in found.classes.items())
    rows: dict[str, object] = {
        "train": found.train,
        "test": found.test,
        "classes": classes or "none: labels are values",
        "lengths": f"{found.lengths[0]}-{found.lengths[1]}",
        "train_copies": found.train_copies,
        "train_conflicts": found.train_conflicts,
        "test_copies": found.test_copies,
        "test_conflicts": found.test_conflicts,
        "test_reverse_copies": found.test_reverse_copies,
        "test_similar": found.test_similar,
    }
    if found.majority is not None:
        rows["majority_accuracy"] = f"{found.majority:.4f}"
    rows |= {f"{name}_accuracy": f"{value:.4f}" for name, value in found.shortcuts.items()}
    for name, value in rows.items():
        print(f"{name}\t{value}")
    for text in found.warnings():
        print(f"warning\t{text}")


@app.command("audit")
def audit(
    train: Annotated[
        str,
        typer.Argument(help="Labelled sequences: CSV, TSV, Parquet, or a folder with both parts."),
    ],
    test: Annotated[
        str | None, typer.Argument(help="The test part, where TRAIN is a file.")
    ] = None,
    *,
    sequence: Annotated[str, typer.Option(help="Column with the bases.")] = "sequence",
    label: Annotated[str, typer.Option(help="Column with the label.")] = "label",
    as_json: Annotated[bool, JSON_OPTION] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit code 1 where anything was found.")
    ] = False,
) -> int:
    """Find what makes results on a labelled set mean less than they seem to.

    Copies between train and test (also on the other strand, and near ones), contradicting labels,
    rare classes, and what the length or the composition of a sequence gives away alone.

    Example: `genolm data audit train.csv.gz test.csv.gz`
    """
    import json

    from genolm.data.audit import audit as run
    from genolm.data.labelled import read_parts
    from genolm.metrics.shortcuts import SHORTCUTS

    parts = read_parts(train, test, sequence=sequence, label=label)
    found = run(*parts, SHORTCUTS)
    if as_json:
        print(json.dumps(found.values(), indent=2))
    else:
        _print_audit(found)
    return int(strict and bool(found.warnings()))
