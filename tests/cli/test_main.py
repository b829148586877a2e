import os
import subprocess
import sys

import pytest

from genolm import __version__
from genolm.cli import main as cli

VERBS = {
    *("demo", "pretrain", "finetune", "evaluate", "predict", "score", "merge", "saturate", "embed"),
    *("convert", "data", "recipes", "report", "info", "doctor"),
}


def run_genolm(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "genolm", *arguments], capture_output=True, text=True, **options
    )


def test_help_lists_exactly_the_verbs_that_work(capsys):
    assert cli.run(["--help"]) == 0
    shown = capsys.readouterr().out
    names = {command.name or command.callback.__name__ for command in cli.app.registered_commands}
    assert names | {group.name for group in cli.app.registered_groups} == VERBS
    assert all(verb in shown for verb in VERBS)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help(verb, capsys):
    assert cli.run([verb, "--help"]) == 0
    assert "Usage" in capsys.readouterr().out


def test_help_imports_neither_torch_nor_transformers():
    program = (
        "import sys; from genolm.cli.main import run; run(['--help']);"
        "bad = {'torch', 'transformers', 'sklearn', 'pysam', 'Bio'} & set(sys.modules);"
        "sys.exit(f'imported {bad}' if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_help_takes_less_than_three_tenths_of_a_second():
    def seconds() -> float:
        # Time on the processor, which does not depend on what else the machine is doing.
        before = os.times()
        assert run_genolm("--help").returncode == 0
        after = os.times()
        return sum(after[2:4]) - sum(before[2:4])

    assert min(seconds() for _ in range(5)) < 0.3


def test_version_names_the_release(capsys):
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"genolm {__version__}"


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["score", "--no-such-option"],
        ["pretrain"],
        ["pretrain", "no_such_recipe.yaml"],
        ["finetune", "no_such_recipe.yaml"],
        ["score", "missing.vcf", "-r", "missing.fa", "-m", "missing", "-o", "out.vcf"],
        ["predict", "missing.fa", "-m", "missing", "-o", "out.tsv"],
        ["recipes", "show", "no_such_recipe"],
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("genolm: error: ")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_goes_away_is_no_error():
    command = f"{sys.executable} -m genolm recipes list | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr == ""


def test_colour_is_off_where_it_is_not_wanted():
    done = run_genolm("--help", env={**os.environ, "NO_COLOR": "1"})
    assert "\x1b[" not in done.stdout
