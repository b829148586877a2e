import csv
import math

import pytest
import torch
from safetensors.torch import load_file

from genolm import load
from genolm.errors import InputError, UsageError
from genolm.training import finetune as module
from genolm.training import finetuning as session_module
from genolm.training.finetune import finetune
from genolm.training.finetuning import Finetuning
from genolm.training.patience import best_line, has_lost_patience
from genolm.training.pretrain import pretrain
from genolm.training.run_folder import RunFolder
from tests.training.interruptions import PowerCut, cut_power, patched
from tests.training.outcomes import metrics, predictions, same, weights


def validations(losses):
    return [{"step": 3 * i, "valid_loss": loss} for i, loss in enumerate(losses, start=1)]


def test_a_run_leaves_what_the_contract_says(finetuning, capsys):
    recipe = finetuning()
    assert finetune(recipe) == recipe.output / "model"
    figures = metrics(recipe)
    assert {"accuracy", "mcc", "auroc", "auprc", "f1", "loss", "n"} <= figures["test"].keys()
    assert figures["test"]["n"] == 20
    assert figures["baselines"].keys() == {"majority", "kmer_logistic", "length_only"}
    assert figures["baselines"]["majority"] == {"accuracy": 0.5}
    assert figures["classes"] == ["at", "cg"]
    model, _ = load(recipe.output / "model")
    assert model.config.id2label == {0: "at", 1: "cg"}
    assert model.config.label2id == {"at": 0, "cg": 1}
    said = capsys.readouterr()
    assert said.out == ""
    assert "epoch 1: valid loss" in said.err
    assert "kmer_logistic" in said.err


def test_figures_stand_within_their_intervals(finetuning, capsys):
    recipe = finetuning()
    finetune(recipe)
    figures = metrics(recipe)
    assert figures["bootstrap"] == {"draws": 1000, "confidence": 0.95}
    assert figures["above_baselines"].keys() == {"kmer_logistic", "length_only"}
    rows = {"model": (figures["test"], figures["intervals"])} | {
        name: (figures["baselines"][name], figures["baseline_intervals"][name])
        for name in ("kmer_logistic", "length_only")
    }
    for found, intervals in rows.values():
        for name, (low, high) in intervals.items():
            assert low - 1e-12 <= found[name] <= high + 1e-12
    low, high = figures["above_baselines"]["length_only"]["accuracy"]
    lead = figures["test"]["accuracy"] - figures["baselines"]["length_only"]["accuracy"]
    assert low <= lead <= high
    assert "95 % from" in capsys.readouterr().err


def test_an_easy_task_is_learned(finetuning):
    recipe = finetuning(train={"epochs": 6, "learning_rate": 3e-2, "patience": None})
    finetune(recipe)
    assert metrics(recipe)["test"]["accuracy"] > 0.9


def test_predictions_are_those_of_the_published_model(finetuning):
    recipe = finetuning()
    finetune(recipe)
    model, _ = load(recipe.output / "model")
    rows = predictions(recipe)
    with recipe.data.test.open() as file:
        sequences = [row["sequence"] for row in csv.DictReader(file)]
    ids = torch.tensor([["ACGT".index(base) + 7 for base in bases] for bases in sequences])
    with torch.no_grad():
        shares = model(ids).logits.softmax(dim=1)
    assert [float(row["p_cg"]) for row in rows] == pytest.approx(shares[:, 1].tolist(), rel=1e-4)
    right = [row["label"] == row["predicted"] for row in rows]
    assert metrics(recipe)["test"]["accuracy"] == sum(right) / len(right)


def test_the_test_part_is_judged_once_by_the_best_epoch(finetuning, monkeypatch):
    judged = []
    predict = Finetuning.predict

    def watch(self, part):
        is_test = part is self.parts.test
        judged.append((is_test, self.model.score.weight.detach().clone()))
        return predict(self, part)

    monkeypatch.setattr(Finetuning, "predict", watch)
    recipe = finetuning(train={"epochs": 3})
    finetune(recipe)
    assert [is_test for is_test, _ in judged] == [False] * 4 + [True]
    best = round(metrics(recipe)["best_epoch"])
    assert torch.equal(judged[-1][1], judged[best - 1][1])


def test_the_best_epoch_is_published_when_the_last_is_worse(finetuning, monkeypatch):
    fake = iter([0.5, 0.1, 0.4, 0.3])
    judge = session_module.judge

    def pretend(logits, targets, task):
        figures = judge(logits, targets, task)
        return figures | {"loss": next(fake, figures["loss"])} if len(targets) == 4 else figures

    monkeypatch.setattr(session_module, "judge", pretend)
    recipe = finetuning(train={"epochs": 4, "patience": 2})
    finetune(recipe)
    figures = metrics(recipe)
    assert (figures["best_epoch"], figures["epochs"]) == (2.0, 4.0)
    best = recipe.output / "checkpoints" / "checkpoint-6"
    assert same(load_file(best / "model.safetensors"), weights(recipe))


def test_patience_ends_the_run_early(finetuning, monkeypatch):
    fake = iter([0.1, 0.2, 0.3])
    judge = session_module.judge

    def pretend(logits, targets, task):
        figures = judge(logits, targets, task)
        return figures | {"loss": next(fake, figures["loss"])} if len(targets) == 4 else figures

    monkeypatch.setattr(session_module, "judge", pretend)
    recipe = finetuning(train={"epochs": 9, "patience": 2})
    finetune(recipe)
    assert (metrics(recipe)["best_epoch"], metrics(recipe)["epochs"]) == (1.0, 3.0)


@pytest.mark.parametrize(
    ("losses", "patience", "over"),
    [
        ([], 1, False),
        ([3.0], 1, False),
        ([3.0, 3.0], 1, True),
        ([3.0, 2.0, 4.0], 2, False),
        ([3.0, 2.0, 4.0, 2.0], 2, True),
        ([3.0, 4.0, 4.0, 4.0], None, False),
    ],
)
def test_patience_counts_validations_since_the_best(losses, patience, over):
    assert has_lost_patience(validations(losses), "loss", patience) is over


def test_the_best_line_is_the_first_of_the_best_and_never_an_undefined_one():
    assert best_line(validations([2.0, 1.0, 1.0]), "loss")["step"] == 6
    scored = [{"step": i, "valid_mcc": mcc} for i, mcc in enumerate([None, -0.1, None, 0.2, 0.2])]
    assert best_line(scored, "mcc")["step"] == 3
    assert best_line(validations([math.nan, math.inf, 2.0, 3.0]), "loss")["step"] == 9
    assert best_line(validations([math.nan, math.inf]), "loss") is None
    assert best_line([{"step": 1, "loss": 1.0}], "loss") is None
    assert best_line([{"step": 1, "valid_mcc": None}], "mcc") is None


@pytest.mark.parametrize("rc", ["none", "augment"])
def test_resuming_equals_not_stopping_bit_for_bit(finetuning, tmp_path, rc, capsys, power_cut):
    whole, stopped = (
        finetuning(output=tmp_path / name, train={"rc": rc, "epochs": 3})
        for name in ("whole", "stopped")
    )
    finetune(whole)
    with power_cut(5):
        finetune(stopped)
    finetune(stopped)
    assert "resuming at step 3" in capsys.readouterr().err
    one, other = (weights(recipe) for recipe in (whole, stopped))
    assert same(one, other)
    steps = [[line["step"] for line in RunFolder(r.output).read_lines()] for r in (whole, stopped)]
    assert steps[0] == steps[1]
    assert metrics(whole)["test"] == metrics(stopped)["test"]


def test_a_run_that_lost_patience_is_not_trained_further(finetuning, capsys):
    recipe = finetuning(train={"epochs": 5, "patience": 1, "learning_rate": 1e-12})
    with patched(module, "_finish", cut_power), pytest.raises(PowerCut):
        finetune(recipe)
    before = RunFolder(recipe.output).read_lines()
    finetune(recipe)
    assert RunFolder(recipe.output).read_lines() == before
    finetune(recipe)
    assert "is done" in capsys.readouterr().err


def test_a_pretrained_backbone_is_taken_over(pretraining, finetuning, causal, tmp_path):
    base = pretraining(
        model=causal, objective="causal_lm", train={"steps": 1}, output=tmp_path / "base"
    )
    pretrain(base)
    recipe = finetuning(
        model={"path": base.output / "model"}, train={"freeze_backbone": True, "epochs": 1}
    )
    finetune(recipe)
    known, tuned = (weights(r) for r in (base, recipe))
    shared = [name for name in known if "backbone" in name]
    assert shared
    assert all(torch.equal(known[name], tuned[name]) for name in shared)
    assert tuned["score.weight"].shape == (2, 8)


def test_conjoined_strands_make_the_classifier_blind_to_the_strand(finetuning):
    recipe = finetuning(train={"rc": "conjoin", "epochs": 1})
    finetune(recipe)
    model, _ = load(recipe.output / "model")
    ids = torch.randint(7, 11, (3, 20))
    flipped = (17 - ids).flip(1)
    with torch.no_grad():
        one = model(torch.stack([ids, flipped], dim=-1)).logits
        other = model(torch.stack([flipped, ids], dim=-1)).logits
    torch.testing.assert_close(one, other)


def test_an_equivariant_model_is_not_conjoined(finetuning):
    model = {"family": "caduceus", "d_model": 8, "n_layer": 1, "rcps": True}
    with pytest.raises(UsageError, match=r"train\.rc: an equivariant model"):
        finetune(finetuning(model=model, train={"rc": "conjoin"}))


def test_regression_reports_errors_and_correlations(finetuning, write_table, tmp_path):
    rows = [("A" * i + "C" * (20 - i), i / 20) for i in range(1, 20)] * 2
    write_table(tmp_path / "train.csv", rows)
    write_table(tmp_path / "test.csv", rows[3:12])
    recipe = finetuning(task="regression")
    finetune(recipe)
    figures = metrics(recipe)
    assert {"mse", "r2", "pearson", "spearman", "loss", "n"} <= figures["test"].keys()
    assert figures["test"]["loss"] == pytest.approx(figures["test"]["mse"])
    assert figures["baselines"].keys() == {"kmer_ridge", "length_only"}
    assert figures["duplicates"]["test_in_train"] == 9
    assert list(predictions(recipe)[0]) == ["row", "label", "predicted"]


@pytest.mark.parametrize("columns", [None, ["a", "c"]])
def test_several_labels_from_one_column_or_from_many(finetuning, write_table, tmp_path, columns):
    names = ["", "a", "c", "a;c"] * 8
    sequences = ["ACGT"[i % 4] * 20 for i in range(32)]
    if columns is None:
        rows, header = list(zip(sequences, names, strict=True)), ("sequence", "label")
    else:
        flags = [(s, int("a" in n), int("c" in n)) for s, n in zip(sequences, names, strict=True)]
        rows, header = flags, ("sequence", "a", "c")
    write_table(tmp_path / "train.csv", rows, header)
    write_table(tmp_path / "test.csv", rows, header)
    recipe = finetuning(task="multilabel", data={"label": columns or "label"})
    finetune(recipe)
    assert metrics(recipe)["classes"] == ["a", "c"]
    assert list(predictions(recipe)[0]) == ["row", "label", "predicted", "p_a", "p_c"]
    model, _ = load(recipe.output / "model")
    assert model.config.problem_type == "multi_label_classification"


def test_a_genomic_benchmarks_folder_has_its_own_test_part(finetuning, tmp_path):
    for part in ("train", "test"):
        for name, base in (("at", "AT"), ("cg", "CG")):
            folder = tmp_path / "set" / part / name
            folder.mkdir(parents=True)
            for i in range(10):
                (folder / f"{i}.txt").write_text(base * (5 + i % 3))
    recipe = finetuning(data={"train": tmp_path / "set", "test": None})
    finetune(recipe)
    figures = metrics(recipe)
    assert (figures["test"]["n"], figures["classes"]) == (20, ["at", "cg"])
    assert figures["duplicates"]["test_in_train"] == 20


def test_the_clock_may_end_a_run_within_its_first_epoch(finetuning):
    recipe = finetuning(train={"max_minutes": 1e-6})
    finetune(recipe)
    found = metrics(recipe)
    assert found["epochs"] == found["best_epoch"] == pytest.approx(1 / 3, abs=1e-3)
    judged = [line for line in RunFolder(recipe.output).read_lines() if "valid_loss" in line]
    assert [line["step"] for line in judged] == [1]
    assert found["valid"]["loss"] == pytest.approx(judged[0]["valid_loss"])
    load(recipe.output / "model")


def test_the_validation_part_may_be_given(finetuning, tmp_path):
    recipe = finetuning(data={"valid": tmp_path / "test.csv"})
    finetune(recipe)
    assert metrics(recipe)["valid"]["n"] == 20


@pytest.mark.parametrize(
    ("train", "test", "error", "said"),
    [
        ([("ACGT", "a")] * 20, None, InputError, "only one class, 'a'"),
        (None, [("ACGT", "zz")], InputError, "test.csv:2: label 'zz' is not in the train part"),
        ([("", "a"), ("ACGT", "b")], None, InputError, "train.csv:2: empty sequence"),
        ([("AC!T", "a"), ("ACGT", "b")], None, InputError, "train.csv:2"),
    ],
)
def test_bad_tables_are_named_with_their_line(
    finetuning, write_table, tmp_path, train, test, error, said
):
    recipe = finetuning()
    if train:
        write_table(tmp_path / "train.csv", train)
    if test:
        write_table(tmp_path / "test.csv", test)
    with pytest.raises(error, match=said):
        finetune(recipe)
    assert not recipe.output.exists()


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"data": {"label": "class"}}, InputError, "class"),
        ({"data": {"test": None}}, UsageError, "data.test is required"),
        ({"data": {"valid_fraction": 0.0}}, UsageError, "nothing to choose an epoch by"),
        ({"data": {"valid_fraction": 1.0}}, UsageError, "nothing to train on"),
        (
            {
                "model": {"family": "hyenadna", "d_model": 8, "n_layer": 1, "max_seq_len": 10},
                "data": {"length": 20},
            },
            UsageError,
            "data.length: 20 is more than the model's maximum of 10",
        ),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_written(finetuning, options, error, said):
    recipe = finetuning(**options)
    with pytest.raises(error, match=said):
        finetune(recipe)
    assert not recipe.output.exists()


def test_options_of_the_backbone_cannot_be_changed_on_a_trained_one(finetuning):
    first = finetuning(train={"epochs": 1})
    finetune(first)
    model = {"path": first.output / "model", "d_model": 16}
    with pytest.raises(UsageError, match=r"model\.d_model is not an option of a model from"):
        finetune(finetuning(model=model, output=first.output / "again"))


def test_sequences_longer_than_the_model_are_cut_and_counted(finetuning, capsys):
    model = {"family": "hyenadna", "d_model": 8, "n_layer": 1, "max_seq_len": 12}
    recipe = finetuning(model=model, train={"epochs": 1})
    finetune(recipe)
    assert "20 test sequences lose what is beyond 12 bases" in capsys.readouterr().err
    assert load(recipe.output / "model")[0].config.training_length == 12
