import csv
import json

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from genolm import load
from genolm.errors import UsageError
from genolm.models import build_model
from genolm.objectives import classification_loss
from genolm.scoring.predict import SequencePredictor
from genolm.training.buckets import bucketed
from genolm.training.class_weights import balanced_weights
from genolm.training.finetune import finetune
from genolm.training.optimizer import make_optimizer
from tests.training.outcomes import same, weights


def rows_of_many_lengths(count):
    rng = np.random.default_rng(0)
    rows = []
    for i in range(count):
        base = "AC" if i % 2 else "GT"
        rows.append(("".join(rng.choice(list(base), 5 + 3 * (i % 4))), "xy"[i % 2]))
    return rows


def test_balanced_weights_are_scikit_learns():
    targets = np.array([0] * 6 + [1] * 3 + [2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=targets)
    np.testing.assert_allclose(balanced_weights(targets, 3), expected)
    flags = np.array([[1, 0], [0, 0], [0, 0], [1, 0]])
    np.testing.assert_allclose(balanced_weights(flags, 2), [1.0, 1.0])
    np.testing.assert_allclose(balanced_weights(flags[:3], 2), [2.0, 1.0])


@pytest.mark.slow
def test_weights_of_one_change_nothing_and_others_do(finetuning, tmp_path):
    found = {}
    wanted = {"none": "none", "ones": {"at": 1}, "balanced": "balanced", "heavy": {"cg": 20.0}}
    for name, value in wanted.items():
        recipe = finetuning(train={"class_weights": value, "epochs": 1}, output=tmp_path / name)
        finetune(recipe)
        found[name] = weights(recipe)
    assert same(found["none"], found["ones"])
    assert same(found["none"], found["balanced"])  # as many rows of each class
    assert not same(found["none"], found["heavy"])


def test_the_weighted_loss_counts_each_row_by_its_class():
    logits, labels = torch.randn(5, 2), torch.tensor([0, 0, 0, 1, 1])
    each = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    weighted = classification_loss(logits, labels, weights=torch.tensor([1.0, 3.0]))
    assert weighted == pytest.approx(float((each[:3].sum() + 3 * each[3:].sum()) / 9))


@pytest.mark.parametrize(
    ("task", "train", "said"),
    [
        ("classification", {"class_weights": {"zz": 2}}, "no class 'zz'; there are at, cg"),
        ("regression", {"class_weights": "balanced"}, "a regression has no classes"),
    ],
)
def test_weights_that_fit_no_class_are_refused(
    finetuning, write_table, tmp_path, task, train, said
):
    if task == "regression":
        write_table(tmp_path / "train.csv", [("ACGT" * 5, i) for i in range(20)])
        write_table(tmp_path / "test.csv", [("ACGT" * 5, i) for i in range(4)])
    recipe = finetuning(task=task, train=train)
    with pytest.raises(UsageError, match=said):
        finetune(recipe)
    assert not recipe.output.exists()


@pytest.mark.parametrize("family", ["caduceus", "hyenadna"])
def test_the_rate_falls_from_layer_to_layer_and_the_embedding_has_the_lowest(family):
    model = build_model(
        family, "classification", {"d_model": 8, "n_layer": 3, "num_labels": 2}, seed=0
    )
    options = {"rate": 1.0, "weight_decay": 0.1, "betas": (0.9, 0.99)}
    optimizer = make_optimizer(model, family, **options, layer_decay=0.5)
    names = {parameter: name for name, parameter in model.named_parameters()}
    rates = {names[p]: group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates.keys() == dict(model.named_parameters()).keys()
    assert rates["score.weight"] == 1.0
    for layer in range(3):
        assert {r for n, r in rates.items() if f".layers.{layer}." in n} == {0.5 ** (3 - layer)}
    assert {r for n, r in rates.items() if ".embeddings." in n} == {0.5**4}
    assert optimizer.param_groups[0]["lr"] == 1.0
    plain = make_optimizer(model, family, **options)
    assert {group["lr"] for group in plain.param_groups} == {1.0}
    assert len(plain.param_groups) == 2


def test_batches_of_an_epoch_have_similar_lengths_and_every_row_once():
    lengths = np.random.default_rng(0).integers(5, 100, 640)
    order = np.random.default_rng(1).permutation(640)
    found = bucketed(order, lengths, 16, seed=3)
    assert (found == bucketed(order, lengths, 16, seed=3)).all()
    assert (np.sort(found) == np.arange(640)).all()
    spread = np.ptp(lengths[found].reshape(-1, 16), axis=1)
    assert spread.max() < 10
    assert (np.diff(lengths[found].reshape(-1, 16).mean(axis=1)) < 0).any()


@pytest.mark.parametrize(
    "model",
    [
        {"family": "caduceus", "d_model": 8, "n_layer": 1, "rcps": True},
        {"family": "hyenadna", "d_model": 8, "n_layer": 1, "max_seq_len": 30},
    ],
    ids=["caduceus", "hyenadna"],
)
def test_in_buckets_padding_is_no_feature_and_batches_make_no_difference(
    finetuning, write_table, tmp_path, model
):
    write_table(tmp_path / "train.csv", rows_of_many_lengths(60))
    write_table(tmp_path / "test.csv", rows_of_many_lengths(22))
    recipe = finetuning(model=model, train={"bucket": True, "epochs": 1, "batch_size": 9})
    finetune(recipe)
    tuned, _ = load(recipe.output / "model")
    assert tuned.config.mask_padding
    with (recipe.output / "test_predictions.tsv").open() as file:
        known = [float(row["p_x"]) for row in csv.DictReader(file, delimiter="\t")]
    sequences = [sequence for sequence, _ in rows_of_many_lengths(22)]
    for batch_size in (1, 5, 22):
        rows = SequencePredictor(tuned, batch_size=batch_size).predict(sequences)
        assert [row[1] for row in rows] == pytest.approx(known, abs=1e-5)
    ids = torch.full((1, 40), 4)
    ids[0, 20:25] = torch.tensor([7, 8, 9, 10, 7])
    with torch.no_grad():
        torch.testing.assert_close(tuned(ids[:, 20:25]).logits, tuned(ids[:, :30]).logits)


def test_in_buckets_resuming_equals_not_stopping(finetuning, write_table, tmp_path, power_cut):
    write_table(tmp_path / "train.csv", rows_of_many_lengths(60))
    write_table(tmp_path / "test.csv", rows_of_many_lengths(8))
    train = {"bucket": True, "layer_decay": 0.5, "class_weights": {"x": 2}}
    whole, stopped = (finetuning(output=tmp_path / name, train=train) for name in ("a", "b"))
    finetune(whole)
    with power_cut(6, by=KeyboardInterrupt):
        finetune(stopped)
    finetune(stopped)
    assert same(weights(whole), weights(stopped))
    lines = (whole.output / "metrics.jsonl").read_text().splitlines()
    assert max(line.get("learning_rate", 0) for line in map(json.loads, lines)) > 9e-3


def test_padding_cannot_be_left_out_and_kept(finetuning):
    model = {"family": "caduceus", "d_model": 8, "n_layer": 1, "mask_padding": False}
    with pytest.raises(UsageError, match=r"train\.bucket: leaves padding out"):
        finetune(finetuning(model=model, train={"bucket": True}))
