import csv
import gzip
import shutil
from pathlib import Path

import pytest

import genolm.demo
from genolm.bundled import bundled_models
from genolm.demo.bundle import BUNDLED_MODEL, RECIPES
from genolm.demo.few_labels import BEGINNINGS, LABELS, choose_few
from genolm.models.auto import load
from genolm.training.model_source import TOKENIZERS, build_model
from genolm.training.recipe_files import load_finetune_recipe

DATA = Path(genolm.demo.__file__).parent / "data" / "labelled"


@pytest.fixture
def labelled(tmp_path):
    return Path(shutil.copytree(DATA, tmp_path / "data" / "labelled"))


def rows_of(path):
    with gzip.open(path, "rt") as lines:
        return list(csv.DictReader(lines))


def test_the_few_are_the_first_of_the_labelled_rows_and_of_both_classes(labelled):
    few = rows_of(choose_few(labelled))
    assert few == rows_of(labelled / "train.csv.gz")[:LABELS]
    assert len(few) == 200
    assert 80 <= sum(row["label"] == "1" for row in few) <= 120


def test_choosing_again_gives_the_same_bytes(labelled):
    first = choose_few(labelled).read_bytes()
    assert choose_few(labelled).read_bytes() == first


def test_both_classifiers_differ_in_nothing_but_where_they_begin(labelled, monkeypatch):
    monkeypatch.chdir(labelled.parent.parent)
    choose_few(labelled)
    bundled, scratch = (
        load_finetune_recipe(RECIPES / f"few_labels_{name}.yaml") for name in BEGINNINGS
    )
    assert str(bundled.model.path) == BUNDLED_MODEL
    assert BUNDLED_MODEL in bundled_models()
    for section in ("data", "train", "task"):
        assert getattr(bundled, section) == getattr(scratch, section)
    trained, _ = load(BUNDLED_MODEL)
    fresh = build_model(scratch.model.family, "causal_lm", scratch.model.options, seed=1)
    shapes = [{name: p.shape for name, p in model.named_parameters()} for model in (trained, fresh)]
    assert shapes[0] == shapes[1]
    assert scratch.model.family in TOKENIZERS
