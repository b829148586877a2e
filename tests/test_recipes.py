import csv

import numpy as np
import pytest
import torch
import yaml

from genolm.modules.recompute import recompute_parts
from genolm.training.recipe_files import (
    load_finetune_recipe,
    load_pretrain_recipe,
    recipes_folder,
    shipped_recipes,
)

# Those of evaluations, and those made from them, are tested in tests/evaluation.
SHIPPED = {
    name: file
    for name, file in shipped_recipes().items()
    if "evaluate/" not in name and name.count("/") == 1
}
SMOKE = sorted(name for name in SHIPPED if name.startswith("smoke/"))
PUBLISHED = {  # parameters of the published checkpoints
    "hyenadna_tiny_1k": 436_096,
    "hyenadna_tiny_1k_d256": 1_641_088,
    "hyenadna_tiny_16k": 436_096,
    "hyenadna_small_32k": 3_277_568,
    "hyenadna_medium_160k": 6_550_528,
    "hyenadna_medium_450k": 6_550_528,
    "hyenadna_large_1m": 6_550_528,
    "caduceus_ph_1k_d118": 470_702,
    "caduceus_ps_1k_d118": 470_702,
    "caduceus_ph_1k_d256": 1_934_592,
    "caduceus_ps_1k_d256": 1_934_592,
    "caduceus_ph_32k": 3_864_832,
    "caduceus_ps_32k": 3_864_832,
    "caduceus_ph_131k": 7_725_312,
    "caduceus_ps_131k": 7_725_312,
}
OURS = sorted(name for name in SHIPPED if name.partition("/")[0] not in ("smoke", "published"))


def is_pretraining(name):
    return "objective" in yaml.safe_load(SHIPPED[name].read_text())


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A working directory with every file that a recipe names."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for text in SHIPPED.values():
        recipe = yaml.safe_load(text.read_text())
        if "path" in recipe["model"]:
            (tmp_path / recipe["model"]["path"]).mkdir(parents=True, exist_ok=True)
        if recipe.get("task") == "variant_effect":
            write_variants(tmp_path, recipe["data"], rng)
            continue
        if recipe.get("task") == "token_classification":
            write_intervals(tmp_path / recipe["data"].pop("train"), recipe["data"]["ignore"])
        for key in ("fasta", "bed", "train", "test"):
            if isinstance(path := recipe["data"].get(key), str):
                write_toy(tmp_path / path, rng)
    return tmp_path


def write_variants(folder, data, rng):
    """Three contigs, and a substitution every 20 bases with an effect."""
    contigs = {name: "".join(rng.choice(list("ACGT"), 400)) for name in "abc"}
    rows = [
        (name, pos, text[pos - 1], "ACGT"["CGTA".index(text[pos - 1])], pos % 7)
        for name, text in contigs.items()
        for pos in range(20, 400, 20)
    ]
    for key in ("fasta", "train"):
        (folder / data[key]).parent.mkdir(parents=True, exist_ok=True)
    (folder / data["fasta"]).write_text(
        "".join(f">{name}\n{text}\n" for name, text in contigs.items())
    )
    with (folder / data["train"]).open("w", newline="") as opened:
        columns = (data.get("chrom", "chrom"), "pos", "ref", "alt", data["label"])
        csv.writer(opened, delimiter="\t").writerows([columns, *rows])


def write_intervals(file, ignored):
    """Transcripts of every 100 bases, and what does not count at their ends, on both contigs."""
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        f"{contig}\t{start + first}\t{start + first + 40}\t{name}\n"
        for contig in "ab"
        for start in range(0, 4000, 100)
        for first, name in ((0, "transcript"), (30, ignored))
    ]
    file.write_text("".join(rows))


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


@pytest.mark.parametrize("name", OURS)
def test_every_recipe_has_a_smoke_version_and_a_row_in_the_table(name):
    assert f"smoke/{name.partition('/')[2]}" in SHIPPED
    assert f"| {name} |" in (recipes_folder() / "README.md").read_text()


def test_every_published_run_has_a_recipe():
    found = {name.partition("/")[2] for name in SHIPPED if name.startswith("published/")}
    assert found == PUBLISHED.keys()
    assert "| published/* |" in (recipes_folder() / "README.md").read_text()


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_a_published_recipe_makes_the_published_model(name, toy):
    from genolm.training.model_source import language_model

    recipe = load_pretrain_recipe(name)
    with torch.device("meta"):
        model, _ = language_model(recipe)
    assert sum(parameter.numel() for parameter in model.parameters()) == PUBLISHED[name]
    names = {"mixer": ["mixer"], "both": ["mixer", "mlp"]}.get(recipe.train.checkpointing, [])
    recompute_parts(model, names)
    assert recipe.data.bed_windows == name.partition("_")[0]
    bases = recipe.train.batch_size * recipe.train.accumulate * recipe.data.length
    if name.startswith("caduceus"):
        assert bases == 1 << 20
        assert model.config.rcps is ("_ps_" in name)
        assert recipe.data.rc_augment is not model.config.rcps
    else:
        assert 64 <= recipe.train.batch_size * recipe.train.accumulate <= 256
        assert model.config.max_seq_len == recipe.data.length + 2


@pytest.mark.parametrize("name", ["hyenadna_tiny_1k", "caduceus_ps_1k_d118"])
def test_a_published_recipe_runs_on_its_bed_when_it_is_made_tiny(name, tmp_path, monkeypatch):
    from genolm import load
    from genolm.training.pretrain import pretrain

    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    write_toy(tmp_path / "hg38.fa", np.random.default_rng(0))
    rows = [
        f"{contig}\t{start}\t{start + 400}\t{split}\n"
        for contig in "ab"
        for start, split in ((0, "train"), (1000, "valid"), (2000, "test"))
    ]
    (tmp_path / "data" / "human-sequences.bed").write_text("".join(rows))
    family = name.partition("_")[0]
    changes = ["data.fasta=hg38.fa", "data.length=64", "train.threads=1", "train.steps=2"]
    changes += [f"model={{family: {family}, d_model: 8, n_layer: 1}}", "train.batch_size=2"]
    model = pretrain(load_pretrain_recipe(name, [*changes, "train.test_windows=2"]))
    assert load(model)[0].config.training_length == 64


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
