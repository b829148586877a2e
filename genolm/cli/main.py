"""``genolm``: the verbs, and exit codes (0 done, 1 failed, 2 usage, 130 Ctrl-C, 143 SIGTERM)."""

import os
import sys
from typing import Annotated

import typer
from typer.exceptions import Abort, TyperException

from genolm import __version__
from genolm.cli.allocator import keep_freed_memory
from genolm.cli.convert import convert
from genolm.cli.data import app as data
from genolm.cli.demo import demo
from genolm.cli.doctor import doctor
from genolm.cli.embed import embed
from genolm.cli.evaluate import evaluate
from genolm.cli.finetune import finetune
from genolm.cli.info import info
from genolm.cli.merge import merge
from genolm.cli.predict import predict
from genolm.cli.pretrain import pretrain
from genolm.cli.recipes import app as recipes
from genolm.cli.report import report
from genolm.cli.saturate import saturate
from genolm.cli.score import score
from genolm.cli.termination import SIGINT_EXIT_CODE, Interrupted, with_notes
from genolm.console import complain
from genolm.errors import InputError, UsageError

app = typer.Typer(
    name="genolm",
    help="DNA language models: pretrain on a FASTA, fine-tune a classifier, score a VCF.",
    epilog="Start with `genolm demo`. Every verb has its own --help with an example.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich would double the time of --help and read [I,II] as markup
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"genolm {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and stop.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Hold the options that come before a verb."""


app.command("demo")(demo)
app.command("pretrain")(pretrain)
app.command("finetune")(finetune)
app.command("evaluate")(evaluate)
app.command("predict")(predict)
app.command("score")(score)
app.command("merge")(merge)
app.command("saturate")(saturate)
app.command("embed")(embed)
app.command("report")(report)
app.command("convert")(convert)
app.add_typer(data, name="data")
app.add_typer(recipes, name="recipes")
app.command("info")(info)
app.command("doctor")(doctor)


def _describe_os_error(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}"


def _leave_pipe() -> int:
    # The reader went away: nothing more can be said on stdout, not even by Python's own exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def run(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit code.

    Args:
        arguments: What stands after ``genolm``; default ``sys.argv[1:]``.

    Returns:
        0 done, 1 failed, 2 wrong usage or config, 130 Ctrl-C.
    """
    try:
        result = app(args=arguments, standalone_mode=False)
        sys.stdout.flush()
        return _closing(result)
    except TyperException as error:
        return _usage(error)
    except UsageError as error:
        complain(with_notes(str(error), error))
        return 2
    except (BrokenPipeError, SystemExit):  # typer leaves by SystemExit when a pipe's reader did
        return _leave_pipe()
    except OSError as error:
        complain(with_notes(_describe_os_error(error), error))
        return 1
    except (InputError, ValueError, MemoryError) as error:
        complain(with_notes(str(error) or type(error).__name__, error))
        return 1
    except Interrupted as error:
        complain(str(error))
        return SIGINT_EXIT_CODE
    except (KeyboardInterrupt, Abort):
        return _closing(SIGINT_EXIT_CODE)


def _closing(result: object) -> int:
    code = result if isinstance(result, int) else 0
    if code == SIGINT_EXIT_CODE:
        complain("stopped by Ctrl-C")
    return code


def _usage(error: TyperException) -> int:
    context = getattr(error, "ctx", None)
    hint = f" (see `{context.command_path} --help`)" if context is not None else ""
    if message := error.format_message():
        complain(message + hint)
    return error.exit_code


def main() -> None:
    """Be the ``genolm`` command."""
    # OpenMP reads this once, when torch is imported. Threads that spin for long at every barrier
    # make a training step many times slower as soon as something else wants one of the cores, and
    # those that do not spin at all lose half of the second core; this is as good as either.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    keep_freed_memory()
    sys.exit(run())
