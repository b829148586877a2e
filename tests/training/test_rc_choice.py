import numpy as np
import pytest
import torch

from genolm import load
from genolm.errors import UsageError
from genolm.scoring.predict import SequencePredictor
from genolm.training import finetuning as session_module
from genolm.training.finetune import finetune
from genolm.training.rc_choice import best_candidate
from tests.training.outcomes import metrics

EQUIVARIANT = {"family": "caduceus", "d_model": 8, "n_layer": 1, "rcps": True}
COMPLEMENT = {7: 10, 8: 9, 9: 8, 10: 7}


def oriented_rows(count, seed):
    """Rich in A, or in T: what one strand shows, and the other hides."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        name = ("a", "t")[i % 2]
        shares = [0.7, 0.1, 0.1, 0.1] if name == "a" else [0.1, 0.1, 0.1, 0.7]
        rows.append(("".join(rng.choice(list("ACGT"), 20, p=shares)), name))
    return rows


@pytest.fixture
def oriented(finetuning, write_table, tmp_path):
    write_table(tmp_path / "train.csv", oriented_rows(60, 0))
    write_table(tmp_path / "test.csv", oriented_rows(20, 1))
    return finetuning


def test_labels_of_one_strand_are_read_on_one_strand(oriented, capsys):
    recipe = oriented(train={"rc": "auto", "epochs": 8, "rc_share": 0.25, "learning_rate": 3e-2})
    finetune(recipe)
    choice = metrics(recipe)["rc"]
    assert choice["chosen"] == "none"
    assert choice["by"] == "loss"
    assert list(choice["candidates"]) == ["none", "augment", "conjoin"]
    losses = {name: figures["loss"] for name, figures in choice["candidates"].items()}
    assert losses["none"] == min(losses.values())
    assert metrics(recipe)["test"]["accuracy"] > 0.9
    assert "train.rc: none, by the held-out loss" in capsys.readouterr().err
    assert not load(recipe.output / "model")[0].config.conjoin_train


@pytest.mark.parametrize(
    ("model", "best", "wanted"),
    [
        (None, "conjoin", {"conjoin_train": True}),
        (None, "augment", {"conjoin_train": False, "conjoin_eval": False}),
        (EQUIVARIANT, "oriented", {"oriented_head": True}),
        (EQUIVARIANT, "invariant", {"oriented_head": False}),
    ],
)
def test_the_best_candidate_is_what_is_trained_and_published(
    finetuning, monkeypatch, model, best, wanted
):
    judge = session_module.Finetuning.judge

    def pretend(self, part):
        return judge(self, part) | {"loss": 0.1 if self.run.path.name == best else 0.2}

    monkeypatch.setattr(session_module.Finetuning, "judge", pretend)
    recipe = finetuning(model=model, train={"rc": "auto", "epochs": 1})
    finetune(recipe)
    assert metrics(recipe)["rc"]["chosen"] == best
    config = load(recipe.output / "model")[0].config
    assert {name: getattr(config, name) for name in wanted} == wanted


@pytest.mark.slow
def test_a_run_that_stops_within_a_candidate_goes_on_within_it(finetuning, tmp_path, power_cut):
    whole, stopped = (
        finetuning(output=tmp_path / name, train={"rc": "auto"}) for name in ("whole", "stopped")
    )
    finetune(whole)
    with power_cut(2, "augment"):
        finetune(stopped)
    finetune(stopped)
    assert metrics(whole)["rc"] == metrics(stopped)["rc"]
    assert metrics(whole)["test"] == metrics(stopped)["test"]


@pytest.mark.slow
def test_the_minutes_of_candidates_are_taken_from_those_of_the_training(finetuning, monkeypatch):
    seen = {}
    train = session_module.Finetuning.judge

    def watch(self, part):
        seen[self.run.path.name] = self.recipe.train.max_minutes
        return train(self, part)

    monkeypatch.setattr(session_module.Finetuning, "judge", watch)
    finetune(finetuning(train={"rc": "auto", "epochs": 1, "max_minutes": 10, "rc_share": 0.2}))
    assert seen["none"] == seen["conjoin"] == pytest.approx(2)
    assert seen["run"] == pytest.approx(4)


def test_an_undefined_figure_is_never_the_best_and_the_first_of_equals_is():
    figures = {"none": {"mcc": None}, "augment": {"mcc": 0.1}, "conjoin": {"mcc": 0.1}}
    assert best_candidate(figures, "mcc") == "augment"
    losses = {name: {"loss": value} for name, value in (("a", 2.0), ("b", 1.0))}
    assert best_candidate(losses, "loss") == "b"


def test_an_oriented_head_tells_the_strands_apart_and_an_invariant_one_does_not(oriented):
    scores = {}
    for head in ("invariant", "oriented"):
        recipe = oriented(
            model=EQUIVARIANT,
            train={"head": head, "epochs": 8, "learning_rate": 3e-2},
            output=oriented().output / head,
        )
        finetune(recipe)
        model, _ = load(recipe.output / "model")
        ids = torch.tensor([[7] * 15 + [8, 9, 10, 7, 7]])
        opposite = torch.tensor([[COMPLEMENT[int(i)] for i in ids[0].flip(0)]])
        with torch.no_grad():
            same = torch.allclose(model(ids).logits, model(opposite).logits, atol=1e-5)
        assert same == (head == "invariant")
        scores[head] = metrics(recipe)["test"]["accuracy"]
        values = SequencePredictor(model, batch_size=3).predict(["A" * 20, "T" * 20])
        assert len(values) == 2
    assert scores["oriented"] > 0.9
    assert scores["invariant"] < 0.75


def test_post_hoc_conjoining_trains_on_one_strand_and_judges_on_both(finetuning):
    recipe = finetuning(train={"rc": "conjoin_eval", "epochs": 1})
    finetune(recipe)
    model, _ = load(recipe.output / "model")
    assert (model.config.conjoin_train, model.config.conjoin_eval) == (False, True)
    ids = torch.randint(7, 11, (3, 20))
    flipped = (17 - ids).flip(1)
    with torch.no_grad():
        one = model(torch.stack([ids, flipped], dim=-1)).logits
        other = model(torch.stack([flipped, ids], dim=-1)).logits
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("model", "train", "said"),
    [
        (EQUIVARIANT, {"rc": "conjoin_eval"}, r"train\.rc: an equivariant model"),
        (None, {"head": "oriented"}, "oriented_head belongs to equivariant models"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(finetuning, model, train, said):
    with pytest.raises(UsageError, match=said):
        finetune(finetuning(model=model, train=train))
