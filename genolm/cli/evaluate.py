"""``genolm evaluate``: models on the tasks of a suite, beside baselines and published figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from genolm.cli import options
from genolm.cli.termination import ending_on_sigterm
from genolm.errors import UsageError


def evaluate(
    suite: Annotated[
        str,
        typer.Argument(
            help="genomic_benchmarks, nucleotide_transformer, gue, chromatin_profiles, species,"
            " variants (of the recipe), eqtl (frozen models, an SVM by distance), or folder: every"
            " labelled set in --data."
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="Keys of fine-tuning recipes, for every training: `train.epochs=3`.",
        ),
    ] = None,
    *,
    data: Annotated[Path, typer.Option(help="Folder with a folder for each task.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the results.")],
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="[NAME=]MODEL",
            help="A model folder, a bundled model, or one that the recipe names; several rows by"
            " several -m.",
            show_default="all models of the recipe",
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="A file, or the name of a shipped one: models, and keys by task."),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="finetune, probe (of the embeddings), k_shot or soft_prompt (causal models), for"
            " every row.",
            show_default="the recipe's, or finetune",
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="clean, paper-hyenadna or paper-caduceus.", show_default="the recipe's, or clean"
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, help="Trainings.", show_default="3; as many as the paper has"),
    ] = None,
    folds: Annotated[
        int | None, typer.Option(min=2, help="Folds of cross-validation, in place of seeds.")
    ] = None,
    tasks: Annotated[
        str | None, typer.Option(metavar="A,B", help="Some tasks.", show_default="all")
    ] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(
            "--reference",
            "-r",
            metavar="[CLASS=]FASTA",
            help="Genome on which intervals lie; several by several -r.",
        ),
    ] = None,
    baselines: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Some of majority, length, trinucleotide, kmer, cnn; or none.",
            show_default="all that fit the task",
        ),
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option(help="Limit of one training.", show_default="no limit")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Also write the Markdown table to this file.")
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Train the models named anew on the tasks named.")
    ] = False,
    device: options.Device = "auto",
    threads: options.Threads = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Fine-tune models on every task of a suite and write one table.

    A tenth of train chooses the epoch and the test part is judged once (`--protocol clean`), for
    several seeds, beside the majority, the length alone, k-mers, the CNN of GenomicBenchmarks, and
    what was published. Every result is a file: the same command goes on where it was stopped. A
    task that fails is named, the others go on, and the exit code is 1.

    Example: `genolm evaluate folder --data sets -m ecoli-mamba-d128 -o runs/sets train.epochs=3`
    """
    from genolm.console import set_verbosity

    set_verbosity(quiet=quiet, verbose=verbose)

    from genolm.console import say
    from genolm.evaluation.eqtl_table import EqtlRequest, run_eqtl

    if suite == "eqtl":
        of_suites: dict[str, object] = {
            "--recipe": recipe,
            "--method": method,
            "--protocol": protocol,
        }
        of_suites |= {"--seeds": seeds, "--folds": folds, "--tasks": tasks}
        of_suites |= {"--baselines": baselines, "--max-minutes": max_minutes}
        refuse_options(of_suites, "genolm evaluate eqtl")
        given = (reference or (), model or (), overrides or ())
        table = run_eqtl(EqtlRequest(data, output, *given, restart, device, threads))
        publish(table, markdown)
        return 0

    from genolm.evaluation.evaluate import evaluate as run
    from genolm.evaluation.request import Request

    request = Request(
        suite=suite,
        data=data,
        output=output,
        models=model or (),
        recipe=recipe,
        overrides=[*(overrides or ()), *([] if method is None else [f"method.name={method}"])],
        protocol=protocol,
        seeds=seeds,
        folds=folds,
        tasks=split_names(tasks) or (),
        baselines=split_names(baselines),
        genomes=reference or (),
        max_minutes=max_minutes,
    )
    with ending_on_sigterm() as ending:
        table, failures = run(request, restart=restart, device=device, threads=threads)
        publish(table, markdown)
        for failure in failures:
            say(f"not done: {failure}")
        say(f"{table.parent}: table.csv, table.md, table.html; {len(failures)} failures")
    return ending.code or int(bool(failures))


def publish(table: Path, markdown: Path | None) -> None:
    """Print a Markdown table, and write it to a file of the user's too."""
    from genolm.atomic import write_text

    text = table.read_text(encoding="utf-8")
    if markdown is not None:
        write_text(markdown, text)
    print(text, end="")


def refuse_options(given: Mapping[str, object], command: str) -> None:
    """Refuse options that a command would not look at."""
    said = [name for name, value in given.items() if value is not None]
    if said:
        raise UsageError(
            f"{command} has no {', '.join(said)}; its options are -m, -r and KEY=VALUE"
        )


def split_names(text: str | None) -> list[str] | None:
    """Return the names of a list with commas; none of them for "none", None for None."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    return [] if names == ["none"] else names
