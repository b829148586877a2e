import pytest
import yaml

from genolm.cli.main import run
from genolm.training.recipe_files import shipped_recipes


def test_list_names_every_shipped_recipe(capsys):
    assert run(["recipes", "list"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown] == list(shipped_recipes())
    assert all("#" not in line for line in shown)


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("pretrain", ["data.genomes.fasta", "required", "the"]),
        ("pretrain", ["train.steps", "1000", "steps"]),
        ("finetune", ["train.patience", "3", "epochs"]),
        ("finetune", ["data.valid", "null", "likewise;"]),
    ],
)
def test_keys_prints_key_default_and_meaning(kind, line, capsys):
    assert run(["recipes", "keys", kind]) == 0
    assert line in [shown.split()[:3] for shown in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("kind", "key", "words"),
    [
        ("pretrain", "objective", "masked_lm | causal_lm"),
        ("pretrain", "train.guard", "stop | skip"),
        ("pretrain", "data.bed_windows", "tile | centre | hyenadna | caduceus"),
        ("finetune", "train.rc", "none | augment | conjoin | conjoin_eval | auto"),
        ("finetune", "train.head", "invariant | oriented"),
        ("finetune", "train.class_weights", "none | balanced"),
        ("finetune", "train.epochs", ""),
    ],
)
def test_keys_prints_the_words_that_a_value_may_be(kind, key, words, capsys):
    assert run(["recipes", "keys", kind]) == 0
    shown = {
        line.split()[0]: line.split(maxsplit=2)[2] for line in capsys.readouterr().out.splitlines()
    }
    found, _, meaning = shown[key].partition(": ")
    assert (found if meaning and " | " in found else "") == words


@pytest.mark.parametrize("name", ["pretrain/yeast_mamba", "yeast_mamba"])
def test_show_prints_the_file_itself(name, capsys):
    assert run(["recipes", "show", name]) == 0
    shown = capsys.readouterr().out
    assert shown == shipped_recipes()["pretrain/yeast_mamba"].read_text()
    assert yaml.safe_load(shown)["objective"] == "causal_lm"


def test_a_name_that_is_not_there_is_wrong_usage(capsys):
    assert run(["recipes", "show", "yeast_mambo"]) == 2
    said = capsys.readouterr()
    assert "did you mean yeast_mamba?" in said.err
    assert said.out == ""
