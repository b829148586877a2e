import runpy
from pathlib import Path

import pytest
import yaml

from genolm import load
from genolm.evaluation.suites import known_suites
from genolm.training.finetune import finetune
from genolm.training.recipe_files import (
    check_values,
    find_recipe,
    load_finetune_recipe,
    recipes_folder,
    shipped_recipes,
)
from genolm.training.recipe_finetune import FinetuneRecipe

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "make_finetune_recipes.py"
SUITES = ("genomic_benchmarks", "nucleotide_transformer")
SHIPPED = {
    name.partition("/")[2]: file
    for name, file in shipped_recipes().items()
    if name.startswith("finetune/") and name.count("/") == 2
}


def test_there_is_one_for_every_task_of_both_suites():
    tasks = {f"{suite}/{task}" for suite in SUITES for task in known_suites()[suite].tasks}
    assert set(SHIPPED) == tasks
    assert len(tasks) == 27
    readme = (recipes_folder() / "README.md").read_text()
    assert all(f"| finetune/{suite}/* |" in readme for suite in SUITES)


def test_they_are_what_the_recipes_of_the_evaluations_say():
    texts = runpy.run_path(str(SCRIPT))["recipe_texts"]()
    assert texts == {f"finetune/{name}.yaml": file.read_text() for name, file in SHIPPED.items()}


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_each_is_a_recipe_that_is_found_by_its_last_name(name):
    file = SHIPPED[name]
    assert find_recipe(name.partition("/")[2], "finetune") == file
    recipe = check_values(FinetuneRecipe, yaml.safe_load(file.read_text()), file)
    assert recipe.data.train.name == recipe.output.name == name.partition("/")[2]
    text = file.read_text()
    assert all(f"# {word}: " in text for word in ("Paper", "Hardware", "Data", "Expected"))


def test_one_runs_on_a_folder_of_classes_when_it_is_made_tiny(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for part in ("train", "test"):
        for label, base in (("negative", "AC"), ("positive", "GT")):
            folder = tmp_path / "data/genomic_benchmarks/human_enhancers_cohn" / part / label
            folder.mkdir(parents=True)
            for number in range(10):
                (folder / f"{number}.txt").write_text(base * (10 + number))
    changes = ["model={family: caduceus, d_model: 8, n_layer: 1}", "train.epochs=1"]
    model = finetune(
        load_finetune_recipe("human_enhancers_cohn", [*changes, "train.threads=1"]),
        with_baselines=False,
    )
    config = load(model)[0].config
    assert model == Path("runs/genomic_benchmarks/human_enhancers_cohn/model")
    assert (config.training_length, config.conjoin_eval) == (500, True)
