import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from genolm.errors import UsageError
from genolm.training.recipe_files import (
    find_recipe,
    load_finetune_recipe,
    load_pretrain_recipe,
    shipped_recipes,
)
from genolm.training.recipe_finetune import FinetuneRecipe
from genolm.training.recipe_keys import list_keys
from genolm.training.recipe_masking import MaskingSection
from genolm.training.recipe_pretrain import PretrainRecipe


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("genome.fa.gz", "train.csv.gz", "test.csv.gz"):
        Path(name).touch()
    return tmp_path


@pytest.fixture
def pretrain(folder):
    """A recipe with the required keys only."""
    file = folder / "run.yaml"
    file.write_text(
        "model: {family: caduceus, d_model: 64, n_layer: 2, rcps: true}\n"
        "data: {fasta: genome.fa.gz}\nobjective: masked_lm\noutput: runs/yeast\n"
    )
    return file


@pytest.fixture
def finetune(folder):
    file = folder / "run.yaml"
    file.write_text(
        "model: {family: caduceus, d_model: 64}\n"
        "data: {train: train.csv.gz, test: test.csv.gz}\noutput: runs/promoters\n"
    )
    return file


def complaint(file, *overrides, load=load_pretrain_recipe):
    with pytest.raises(UsageError) as caught:
        load(file, list(overrides))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_required_keys_are_enough(pretrain):
    recipe = load_pretrain_recipe(pretrain)
    assert (recipe.data.length, recipe.train.steps, recipe.train.seed) == (1024, 1000, 2222)
    assert recipe.model.options == {"d_model": 64, "n_layer": 2, "rcps": True}


def test_the_contract_recipe_for_pretraining_loads(folder):
    text = """
model: {family: caduceus, d_model: 64, n_layer: 2, rcps: true}
data: {fasta: genome.fa.gz, length: 1024, train: [I, II], valid: [XV], test: [XVI], bed: null}
objective: masked_lm          # or causal_lm
train: {steps: 1000, batch_size: 8, learning_rate: 8e-3,
        seed: 2222, save_every: 100, eval_every: 100}
output: runs/yeast
"""
    Path("a.yaml").write_text(text)
    recipe = load_pretrain_recipe("a.yaml")
    assert recipe.train.learning_rate == 8e-3
    assert recipe.data.valid == ("XV",)


def test_the_contract_recipe_for_fine_tuning_loads(folder):
    text = """
model: {path: model}
data: {train: train.csv.gz, test: test.csv.gz, valid: null,
       sequence: sequence, label: label, valid_fraction: 0.1}
task: classification
train: {epochs: 10, batch_size: 64, learning_rate: 1e-3, seed: 1}
output: runs/promoters
"""
    Path("a.yaml").write_text(text)
    Path("model").mkdir()
    recipe = load_finetune_recipe("a.yaml")
    assert recipe.train.learning_rate == 1e-3
    assert recipe.model.path == Path("model")


@pytest.mark.parametrize("written", ["1000", "1e3", "'1000'", "1000.0", "1_000", "'1e3'"])
def test_whole_numbers_may_be_written_in_any_way_yaml_reads(pretrain, written):
    assert load_pretrain_recipe(pretrain, [f"train.steps={written}"]).train.steps == 1000


def test_contigs_may_be_numbers_or_one_name(pretrain):
    recipe = load_pretrain_recipe(pretrain, ["data.train=[1, X]", "data.valid=20"])
    assert recipe.data.train == ("1", "X")
    assert recipe.data.valid == ("20",)


def test_overrides_are_applied_in_order_and_create_sections(pretrain):
    recipe = load_pretrain_recipe(
        pretrain, ["train.steps=5", "train.steps=7", "masking.rate=0.3", "model.d_model=32"]
    )
    assert (recipe.train.steps, recipe.masking.rate) == (7, 0.3)
    assert recipe.model.options["d_model"] == 32


def test_an_empty_override_is_null(pretrain):
    assert load_pretrain_recipe(pretrain, ["data.bed="]).data.bed is None


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.stepz=3", "train.stepz is not a key of a recipe; did you mean train.steps?"),
        ("trian.steps=3", "trian is not a key of a recipe; did you mean train?"),
        ("lenght=3", "lenght is not a key of a recipe; did you mean data.length?"),
        ("data.qqqq=3", "data.qqqq is not a key of a recipe; known here: bed, bed_windows, fasta,"),
        ("train.steps=many", "train.steps: a whole number is needed, not 'many'"),
        ("train.steps=1.5", "train.steps: a whole number is needed, not 1.5"),
        ("train.steps=true", "train.steps: a number is needed, not true or false"),
        ("train.steps=0", "train.steps must be greater than 0, not 0"),
        ("train.learning_rate=-1", "train.learning_rate must be greater than 0"),
        ("train.learning_rate=.nan", "train.learning_rate must be"),
        ("objective=mlm", "objective must be 'masked_lm' or 'causal_lm', not 'mlm'"),
        ("data.fasta=", "data.fasta is required and is not there"),
        ("data.fasta=gone.fa", "data.fasta: there is no file or folder gone.fa"),
        ("data.bed=gone.bed", "data.bed: there is no file or folder gone.bed"),
        ("data.valid=[]", "data.valid must hold at least one name"),
        ("model=caduceus", "model must be a section of keys and values"),
        ("model.preset=x", "model: give exactly one of family, preset and path"),
        ("model.family=", "model: give exactly one of family, preset and path"),
        ("masking.mask_fraction=0.95", "mask_fraction and random_fraction together exceed 1"),
        ("train", "'train': an override is written key=value"),
        ("=3", "'=3': an override is written key=value"),
        ("output.x=3", "output holds a value, not a section"),
        ("train.betas=[.9", "the value is not valid YAML"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_its_key(pretrain, override, said):
    assert said in complaint(pretrain, override)


def test_a_complaint_names_the_file(pretrain):
    assert complaint(pretrain, "train.stepz=3").startswith(f"{pretrain}: ")


@pytest.mark.parametrize("key", ["model", "data", "objective", "output"])
def test_a_missing_key_is_named(pretrain, key):
    values = yaml.safe_load(pretrain.read_text())
    del values[key]
    pretrain.write_text(yaml.safe_dump(values))
    assert f"{key} is required and is not there" in complaint(pretrain)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model: {family: a\n", "not valid YAML"),
        ("output: a\noutput: b\n", ":2: not valid YAML: the key output stands twice"),
        ("- a\n", "a recipe is a mapping"),
        ("", "a recipe is a mapping"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(folder, text, said):
    (folder / "bad.yaml").write_text(text)
    assert said in complaint(folder / "bad.yaml")


def test_bytes_that_are_no_text_are_refused(folder):
    (folder / "bad.yaml").write_bytes(b"\x1f\x8b\xff\xfe")
    assert "not a text file" in complaint(folder / "bad.yaml")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.epoch=3", "did you mean train.epochs?"),
        ("task=classify", "'token_classification' or 'variant_effect', not 'classify'"),
        ("data.test=gone.csv", "data.test: there is no file or folder gone.csv"),
        (
            "train.rc=both",
            "train.rc must be 'none', 'augment', 'conjoin', 'conjoin_eval' or 'auto'",
        ),
        ("data.valid_fraction=1.5", "data.valid_fraction must be less than or equal to 1"),
        (
            "train.class_weights=balance",
            "train.class_weights: none, balanced or {class: weight above 0, ...} is needed",
        ),
        (
            "train.class_weights={a: -1}",
            "balanced or {class: weight above 0, ...} is needed, not {'a': -1}",
        ),
        ("data.label={a: b}", "data.label: a name, or a list of names, is needed, not {'a': 'b'}"),
        (
            "search={space: {train.epochs: 3}}",
            "search.space.train.epochs: a list of values is needed, not 3",
        ),
        ("train.betas=0.9", "train.betas must be a list, not 0.9"),
    ],
)
def test_fine_tuning_recipes_complain_alike(finetune, override, said):
    assert said in complaint(finetune, override, load=load_finetune_recipe)


def test_classes_may_be_numbers(finetune):
    recipe = load_finetune_recipe(finetune, ["train.class_weights={0: 2, b: 1.5}"])
    assert recipe.train.class_weights == {"0": 2.0, "b": 1.5}


def test_a_regression_has_no_mcc_to_stop_by(finetune):
    said = complaint(
        finetune, "task=regression", "train.early_stopping_metric=mcc", load=load_finetune_recipe
    )
    assert "mcc is no metric of a regression" in said


def test_a_recipe_that_is_not_there_is_a_usage_error_with_the_nearest_name():
    assert "did you mean yeast_caduceus?" in complaint("yeast_caduceu")


def test_a_folder_is_no_recipe(folder):
    assert "this is a folder" in complaint(folder)


def test_shipped_recipes_are_found_by_name():
    assert find_recipe("yeast_caduceus", "pretrain") == shipped_recipes()["pretrain/yeast_caduceus"]
    assert find_recipe("smoke/yeast_caduceus") == shipped_recipes()["smoke/yeast_caduceus"]


def test_a_folder_does_not_hide_a_shipped_name(folder):
    Path("yeast_caduceus").mkdir()
    assert find_recipe("yeast_caduceus") == shipped_recipes()["pretrain/yeast_caduceus"]


def test_a_file_goes_before_a_shipped_name(folder):
    Path("yeast_caduceus").write_text("output: a\n")
    assert find_recipe("yeast_caduceus") == Path("yeast_caduceus")


@pytest.mark.parametrize("kind", [PretrainRecipe, FinetuneRecipe])
def test_every_key_says_what_it_means(kind):
    keys = dict(list_keys(kind))
    assert {"model", "model.path", "data", "data.train", "train.seed", "output"} <= keys.keys()
    assert [key for key, field in keys.items() if not field.description] == []


def test_recipes_do_not_change(pretrain):
    recipe = load_pretrain_recipe(pretrain)
    with pytest.raises(ValueError, match="frozen"):
        recipe.train.steps = 3


def test_reading_a_recipe_imports_no_torch(pretrain):
    code = (
        "import sys; from genolm.training.recipe_files import load_pretrain_recipe as load;"
        f"load({str(pretrain)!r}); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("given", "bases", "expected"),
    [
        ({}, 1e6, (0.3, 1.0, 0.0)),
        ({}, 1e9, (0.15, 0.8, 0.1)),
        ({"rate": 0.2}, 1e6, (0.2, 0.8, 0.1)),
        ({"mask_fraction": 0.9}, 1e6, (0.15, 0.9, 0.1)),
    ],
)
def test_small_runs_hide_more_and_plainer_unless_something_is_said(given, bases, expected):
    found = MaskingSection(**given).complete(int(bases))
    assert (found.rate, found.mask_fraction, found.random_fraction) == expected


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ("[{length: 300, steps: 1}]", "must divide data.length"),
        ("[{length: 512, steps: 1}, {length: 256, steps: 1}]", "must not become shorter"),
        ("[{length: 512, steps: 1001}]", "1001 steps are more than train.steps"),
    ],
)
def test_stages_that_do_not_fit_are_refused(pretrain, stages, said):
    with pytest.raises(UsageError, match=said):
        load_pretrain_recipe(pretrain, [f"train.length_stages={stages}"])
