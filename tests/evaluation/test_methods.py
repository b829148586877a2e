import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from genolm.errors import UsageError
from genolm.evaluation.evaluate import evaluate
from genolm.evaluation.methods import MethodSection, run_method, split_method
from genolm.evaluation.request import Request
from genolm.evaluation.results import ResultFile
from genolm.models import build_model
from genolm.models.auto import TOKENIZERS
from genolm.training.recipe_finetune import FinetuneRecipe

RECIPE = """
seeds: 1
default: {{model: {{path: {model}}}, train: {{threads: 1}}}}
models:
  probed: {{method: {{name: probe, kinds: [linear, knn]}}}}
  shown: {{method: {{name: k_shot, shots: 4, samples: 6}}}}
  steered: {{method: {{name: soft_prompt, vectors: 2}}, data: {{length: 20}}}}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    options = {"d_model": 8, "n_layer": 1, "bidirectional": False}
    build_model("caduceus", "causal_lm", options, seed=1).save_pretrained(folder)
    TOKENIZERS["caduceus"]().save_pretrained(folder)
    return folder


def test_methods_are_rows_like_any_other(tmp_path, make_task, trained):
    make_task(tmp_path / "sets" / "one")
    (tmp_path / "r.yaml").write_text(RECIPE.format(model=trained))
    request = Request(
        "folder",
        tmp_path / "sets",
        tmp_path / "out",
        recipe=str(tmp_path / "r.yaml"),
        baselines=("majority", "kmer"),
    )
    table, failures = evaluate(request)
    assert failures == []
    for row in ("probed", "shown", "steered"):
        assert f"{row}" in table.read_text()
        file = ResultFile(tmp_path / "out" / "one" / row / "seed-1.json")
        values, scores = file.read(), file.read_scores()
        truth = np.arange(20) % 2
        assert values["test"]["accuracy"] == accuracy_score(truth, scores.argmax(axis=1))
        assert "kmer" in values["above"]
    probed = ResultFile(tmp_path / "out" / "one" / "probed" / "seed-1.json").read()
    assert probed["test"]["accuracy"] > 0.9
    assert probed["probe"]["kind"] in ("linear", "knn")
    steered = ResultFile(tmp_path / "out" / "one" / "steered" / "seed-1.json").read()
    assert steered["letters"] == {"at": "A", "cg": "N"}
    assert steered["cut"] == 20
    before = file.path.stat().st_mtime_ns
    evaluate(request)
    assert file.path.stat().st_mtime_ns == before


def test_a_method_that_does_not_fit_fails_alone(tmp_path, make_task, trained):
    make_task(tmp_path / "sets" / "one")
    text = RECIPE.format(model=trained) + (
        "  fresh: {model: {family: caduceus, d_model: 8, n_layer: 1}, method: probe}\n"
    )
    (tmp_path / "r.yaml").write_text(text)
    request = Request(
        "folder",
        tmp_path / "sets",
        tmp_path / "out",
        models=("probed", "fresh"),
        recipe=str(tmp_path / "r.yaml"),
        baselines=("majority",),
    )
    _, failures = evaluate(request)
    assert [failure.what for failure in failures] == ["one, fresh, seed-1"]
    assert "give its model.path" in str(failures[0])


def test_a_method_is_split_from_its_recipe():
    method, rest = split_method({"method": "probe", "train": {"seed": 1}}, "row")
    assert (method.name, rest) == ("probe", {"train": {"seed": 1}})
    assert split_method({}, "row")[0] == MethodSection()
    with pytest.raises(UsageError, match=r"row: method: shot is not a key"):
        split_method({"method": {"name": "k_shot", "shot": 3}}, "row")
    with pytest.raises(UsageError, match="'finetune', 'probe', 'k_shot' or 'soft_prompt'"):
        split_method({"method": "guess"}, "row")


def test_variants_have_no_such_methods(trained):
    recipe = FinetuneRecipe.model_validate(
        {"model": {"path": trained}, "data": {"train": "a.csv", "test": "b.csv"}, "output": "o"}
    )
    with pytest.raises(UsageError, match="not for variants"):
        run_method(MethodSection(name="probe"), recipe, object(), "cpu")
