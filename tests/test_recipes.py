import csv

import numpy as np
import pytest
import yaml

from genolm.training.recipe_files import (
    load_finetune_recipe,
    load_pretrain_recipe,
    recipes_folder,
    shipped_recipes,
)

SHIPPED = shipped_recipes()
SMOKE = sorted(name for name in SHIPPED if name.startswith("smoke/"))


def is_pretraining(name):
    return "fasta" in yaml.safe_load(SHIPPED[name].read_text())["data"]


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A working directory with every file that a recipe names."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for text in SHIPPED.values():
        recipe = yaml.safe_load(text.read_text())
        if "path" in recipe["model"]:
            (tmp_path / recipe["model"]["path"]).mkdir(parents=True, exist_ok=True)
        for key in ("fasta", "bed", "train", "test"):
            if isinstance(path := recipe["data"].get(key), str):
                write_toy(tmp_path / path, rng)
    return tmp_path


def write_toy(file, rng):
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".fa":
        bases = ["".join(rng.choice(list("ACGT"), 4000)) for _ in range(2)]
        file.write_text(
            "".join(f">{name}\n{text}\n" for name, text in zip("ab", bases, strict=True))
        )
    else:
        rows = [("".join(rng.choice(list("ACGT"), 60)), "xy"[i % 2]) for i in range(40)]
        with file.open("w", newline="") as opened:
            csv.writer(opened).writerows([("sequence", "label"), *rows])


def test_recipes_are_found():
    assert {"pretrain/yeast_caduceus", "pretrain/yeast_hyenadna", "pretrain/human_chrX"} <= set(
        SHIPPED
    )
    assert "finetune/yeast_promoters" in SHIPPED


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_every_recipe_loads(name, toy):
    load = load_pretrain_recipe if is_pretraining(name) else load_finetune_recipe
    load(name)


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_every_recipe_says_where_it_comes_from(name):
    header = [line for line in SHIPPED[name].read_text().splitlines() if line.startswith("#")]
    text = " ".join(header)
    for word in ("Paper", "Hardware", "Expected"):
        assert word in text


@pytest.mark.parametrize("name", sorted(set(SHIPPED) - set(SMOKE)))
def test_every_recipe_has_a_smoke_version_and_a_row_in_the_table(name):
    assert f"smoke/{name.partition('/')[2]}" in SHIPPED
    assert f"| {name} |" in (recipes_folder() / "README.md").read_text()


@pytest.mark.parametrize("name", SMOKE)
def test_every_smoke_recipe_runs(name, toy):
    from genolm import load
    from genolm.training.finetune import finetune
    from genolm.training.pretrain import pretrain

    if is_pretraining(name):
        model = pretrain(load_pretrain_recipe(name, ["train.threads=1"]))
    else:
        model = finetune(load_finetune_recipe(name, ["train.threads=1"]))
    assert (model.parent / "metrics.json").is_file()
    load(model)
