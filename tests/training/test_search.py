import builtins
import json
import shutil

import pytest
from safetensors.torch import load_file

from genolm.errors import UsageError
from genolm.training import search as module
from genolm.training.finetune import finetune
from genolm.training.finetuning import Finetuning
from genolm.training.recipe_files import load_finetune_recipe
from genolm.training.recipe_search import Choices, Range, SearchSection
from genolm.training.search_trials import Trial, Trials
from tests.training.outcomes import metrics

SPACE = {"train.learning_rate": ["1e-4", 3e-2, "log"], "train.batch_size": [6, 12]}


@pytest.fixture
def searching(finetuning):
    def make(*, trials=3, space=None, seed=1, prune=False, train=None, **sections):
        search = {"trials": trials, "space": space or SPACE, "seed": seed, "prune": prune}
        return finetuning(search=search, train={"epochs": 1} | (train or {}), **sections)

    return make


def trials_of(recipe):
    lines = (recipe.output / "search" / "trials.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def without_time(trials):
    return [trial | {"seconds": 0} for trial in trials]


def same_weights(*folders):
    found, expected = (load_file(folder / "model" / "model.safetensors") for folder in folders)
    return all((found[name] == expected[name]).all() for name in expected)


def test_the_best_trial_becomes_the_run(searching, capsys):
    recipe = searching()
    assert finetune(recipe) == recipe.output / "model"
    trials = trials_of(recipe)
    assert [trial["state"] for trial in trials] == ["complete"] * 3
    assert all(1e-4 <= trial["values"]["train.learning_rate"] <= 3e-2 for trial in trials)
    best = min(trials, key=lambda trial: trial["figure"])
    assert metrics(recipe)["valid"]["loss"] == pytest.approx(best["figure"], rel=1e-6)
    resolved = load_finetune_recipe(recipe.output / "recipe.yaml")
    assert resolved.search is None
    assert resolved.train.learning_rate == best["values"]["train.learning_rate"]
    assert resolved.train.batch_size == best["values"]["train.batch_size"]
    assert len(list((recipe.output / "search").glob("trial-*/checkpoints/*"))) == 0
    assert "resuming at step" in capsys.readouterr().err  # its training is not done twice
    before = (recipe.output / "metrics.json").stat().st_mtime_ns
    finetune(recipe)
    assert (recipe.output / "metrics.json").stat().st_mtime_ns == before


@pytest.mark.slow
def test_the_run_is_the_one_its_recipe_gives(searching, finetuning, tmp_path):
    recipe = searching()
    finetune(recipe)
    resolved = load_finetune_recipe(recipe.output / "recipe.yaml")
    alone = resolved.model_copy(update={"output": tmp_path / "alone"})
    finetune(alone)
    assert same_weights(recipe.output, alone.output)


def test_the_test_part_is_judged_once(searching, monkeypatch):
    judged = []
    predict = Finetuning.predict

    def watch(self, part):
        judged.append(part is self.parts.test)
        return predict(self, part)

    monkeypatch.setattr(Finetuning, "predict", watch)
    finetune(searching())
    assert sum(judged) == 1
    assert judged[-1]


def test_a_search_that_was_killed_goes_on_as_if_it_had_not_been(searching, tmp_path, power_cut):
    recipe = searching(space={"train.learning_rate": [1e-4, 3e-2, "log"]}, train={"epochs": 2})
    finetune(recipe)
    expected = trials_of(recipe)
    shutil.move(recipe.output, tmp_path / "whole")
    with power_cut(4, "trial-0001"):
        finetune(recipe)
    assert len(trials_of(recipe)) == 1
    assert (recipe.output / "search" / "trial-0001" / "checkpoints" / "checkpoint-3").is_dir()
    with (recipe.output / "search" / "trials.jsonl").open("a") as file:
        file.write('{"number": 1, "val')  # as a crash leaves it
    finetune(recipe)
    assert without_time(trials_of(recipe)) == without_time(expected)
    assert same_weights(recipe.output, tmp_path / "whole")


def test_a_seed_fixes_the_values_and_another_gives_others(searching, tmp_path):
    section = searching().search
    again, other = (
        SearchSection(space=SPACE, trials=3, seed=seed) for seed in (section.seed, section.seed + 1)
    )
    asked = [
        Trials(tmp_path / "none.jsonl", "loss").ask(one).params for one in (section, again, other)
    ]
    assert asked[0] == asked[1] != asked[2]


@pytest.mark.slow
def test_what_was_found_before_guides_what_is_tried(tmp_path):
    """On a bowl, the later half of 30 trials is nearer to its bottom than the first ten."""
    section = SearchSection(space={"train.weight_decay": [0.0, 1.0, "linear"]}, trials=30)
    trials = Trials(tmp_path / "trials.jsonl", "accuracy")
    distances = []
    for number in range(30):
        value = trials.ask(section).params["train.weight_decay"]
        distances.append(abs(value - 0.3))
        trials.add(Trial(number, {"train.weight_decay": value}, "complete", 1 - distances[-1] ** 2))
    assert sum(distances[15:]) / 15 < sum(distances[:10]) / 10 / 2
    assert trials.ranked()[0].figure == max(trial.figure for trial in trials.ended)


@pytest.mark.slow
def test_a_hopeless_trial_is_given_up(searching, monkeypatch):
    monkeypatch.setattr(
        module, "report_epochs", lambda asked, figures, told: asked.number == 1 and len(figures) > 1
    )
    recipe = searching(prune=True, train={"epochs": 3, "patience": None})
    finetune(recipe)
    trials = trials_of(recipe)
    assert [trial["state"] for trial in trials] == ["complete", "pruned", "complete"]
    assert [trial["epochs"] for trial in trials] == [3, 2, 3]


def test_pruning_is_by_the_median_of_the_epochs(tmp_path):
    section = SearchSection(space=SPACE, prune=True)
    trials = Trials(tmp_path / "trials.jsonl", "loss")
    for number in range(6):
        values = {"train.learning_rate": 1e-3, "train.batch_size": 6}
        trials.add(Trial(number, values, "complete", 0.5, [0.9, 0.5]))
    assert not module.report_epochs(trials.ask(section), [0.8], 0)
    assert module.report_epochs(trials.ask(section), [2.0], 0)


@pytest.mark.slow
def test_a_combination_that_cannot_be_fails_alone(searching, capsys):
    space = {"train.rc": ["none", "conjoin"], "train.learning_rate": [1e-3, 1e-2]}
    recipe = searching(
        trials=5,
        space=space,
        model={"family": "caduceus", "d_model": 8, "n_layer": 1, "rcps": True},
    )
    finetune(recipe)
    trials = trials_of(recipe)
    assert {trial["state"] for trial in trials} == {"complete", "failed"}
    for trial in trials:
        assert (trial["state"] == "failed") == (trial["values"]["train.rc"] == "conjoin")
    assert "equivariant" in capsys.readouterr().err


def test_a_search_without_a_trial_that_could_be_done_says_why(searching):
    recipe = searching(trials=2, space={"model.d_modle": [8, 16]})
    with pytest.raises(UsageError, match=r"none of 2 trials could be done: .*did you mean"):
        finetune(recipe)


@pytest.mark.slow
def test_more_trials_after_the_test_are_refused(searching):
    finetune(searching(trials=2))
    with pytest.raises(UsageError, match="was judged on the test part"):
        finetune(searching(trials=3))
    with pytest.raises(UsageError, match=r"different in search\.space\.train\.batch_size"):
        finetune(searching(trials=2, space=SPACE | {"train.batch_size": [6, 18]}))
    finetune(searching(trials=1), restart=True)
    assert len(trials_of(searching())) == 1


def test_the_folder_of_another_run_is_left_alone(finetuning, searching):
    finetune(finetuning(train={"epochs": 1}))
    with pytest.raises(UsageError, match="holds a run that is no search"):
        finetune(searching())


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "name a key"),
        ({"train.seed": [1, 2]}, r"space\.train\.seed: only keys of"),
        ({"data.train": ["a", "b"]}, r"space\.data\.train: only keys of"),
        ({"train.epochs": [3]}, "two different values"),
        ({"train.learning_rate": [1e-2, 1e-3, "log"]}, "low must be above 0, below high"),
        ({"train.learning_rate": [0, 1, "log"]}, "low must be above 0"),
        ({"train.learning_rate": ["x", 1, "log"]}, "'x' is no number"),
        ({"train.learning_rate": [1, float("inf"), "log"]}, "inf is no end of a range"),
    ],
    ids=["nothing", "seed", "data", "one value", "turned", "log of zero", "no number", "endless"],
)
def test_a_space_that_cannot_be_searched_is_refused(space, message):
    with pytest.raises(ValueError, match=message):
        SearchSection(space=space)


def test_a_value_that_a_key_cannot_have_is_found_before_any_training(searching):
    recipe = searching(space={"train.batch_size": [6, 0]})
    with pytest.raises(UsageError, match=r"search\.space: train\.batch_size=0: train\.batch_size"):
        finetune(recipe)
    assert not recipe.output.exists()


def test_ranges_and_choices_are_told_apart():
    space = {
        "train.learning_rate": ["1e-4", "1e-2", "log"],
        "train.batch_size": [8, 64, "log"],
        "train.rc": ["none", "augment"],
        "train.epochs": [3, 5, 9],
    }
    assert SearchSection(space=space).dimensions() == {
        "train.learning_rate": Range(1e-4, 1e-2, log=True),
        "train.batch_size": Range(8, 64, log=True),
        "train.rc": Choices(("none", "augment")),
        "train.epochs": Choices((3, 5, 9)),
    }


def test_a_missing_optuna_is_named_with_its_command(searching, monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.split(".")[0] == "optuna":
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UsageError, match=r"pip install 'genolm\[tune\]'"):
        finetune(searching())


@pytest.mark.slow
def test_a_trial_may_learn_the_language_of_its_sequences_first(searching):
    space = {"train.self_pretrain.steps": [1, 2], "train.learning_rate": [1e-3, 1e-2]}
    recipe = searching(trials=2, space=space)
    finetune(recipe)
    best = Trials(recipe.output / "search" / "trials.jsonl", "loss").ranked()[0]
    found = metrics(recipe)
    assert found["self_pretraining"]["steps"] == best.values["train.self_pretrain.steps"]
    assert found["valid"]["loss"] == pytest.approx(best.figure, rel=1e-6)
