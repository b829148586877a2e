import pytest
import torch

from genolm.models import build_model
from genolm.training.optimizer import (
    CADUCEUS,
    FINE_TUNING,
    HYENADNA,
    learning_rate,
    make_optimizer,
    names_without_decay,
)
from genolm.training.recipe_finetune import FinetuneTrainSection
from genolm.training.recipe_pretrain import PretrainTrainSection

MODELS = {
    "hyenadna_pretrain": (
        "hyenadna",
        "causal_lm",
        {"d_model": 16, "n_layer": 2, "max_seq_len": 64, "tie_word_embeddings": True},
    ),
    "caduceus_ph_pretrain": ("caduceus", "masked_lm", {"d_model": 16, "n_layer": 2}),
    "caduceus_ps_pretrain": ("caduceus", "masked_lm", {"d_model": 16, "n_layer": 2, "rcps": True}),
}


def optimizer_of(model, family, rate=1e-3, weight_decay=0.1):
    return make_optimizer(model, family, rate=rate, weight_decay=weight_decay, betas=(0.9, 0.95))


@pytest.mark.parametrize("recipe", MODELS)
def test_every_parameter_has_the_rate_and_decay_of_the_original(golden, recipe):
    expected = golden("optimizer_groups.json")[recipe]
    family, task, options = MODELS[recipe]
    model = build_model(family, task, options, seed=0)
    rate = {group["lr"] for group in expected.values()}.pop()
    names = {id(p): name.removeprefix("hyena.") for name, p in model.named_parameters()}
    found = {
        names[id(parameter)]: {"lr": group["lr"], "weight_decay": group["weight_decay"]}
        for group in optimizer_of(model, family, rate).param_groups
        for parameter in group["params"]
    }
    assert found == expected


@pytest.mark.parametrize("family", ["hyenadna", "caduceus"])
def test_every_parameter_is_in_one_group(family):
    model = build_model(family, "classification", {"d_model": 16, "n_layer": 1}, seed=0)
    grouped = [p for group in optimizer_of(model, family).param_groups for p in group["params"]]
    assert len(grouped) == len({id(p) for p in grouped}) == len(list(model.parameters()))


def test_layer_norms_of_caduceus_do_not_decay():
    options = {"d_model": 16, "n_layer": 1, "rms_norm": False}
    model = build_model("caduceus", "masked_lm", options, seed=0)
    assert "caduceus.backbone.norm_f.weight" in set(names_without_decay(model, "caduceus"))


def test_a_frozen_backbone_leaves_one_group():
    model = build_model("caduceus", "classification", {"d_model": 16, "n_layer": 1}, seed=0)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.startswith("score.")
    groups = optimizer_of(model, "caduceus").param_groups
    assert [parameter is model.score.weight for parameter in groups[0]["params"]] == [True]
    assert len(groups) == 1


def test_decay_shrinks_only_what_may_decay():
    model = build_model("caduceus", "masked_lm", {"d_model": 16, "n_layer": 1}, seed=0)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = optimizer_of(model, "caduceus", rate=0.5, weight_decay=0.5)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    changed = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    spared = set(names_without_decay(model, "caduceus"))
    still_zero = {name for name, parameter in before.items() if not parameter.any()}
    assert changed == set(before) - spared - still_zero


@pytest.mark.parametrize("paper", [CADUCEUS, HYENADNA])
def test_what_a_recipe_leaves_open_is_the_papers(paper):
    filled = paper.complete(PretrainTrainSection(), None)
    train = PretrainTrainSection().model_copy(update=filled)
    assert train.learning_rate == paper.learning_rate
    assert train.min_learning_rate == pytest.approx({8e-3: 1e-4, 6e-4: 6e-5}[train.learning_rate])
    rate = learning_rate(train, train.learning_rate, 1000)
    assert rate.warmup == {8e-3: 100, 6e-4: 10}[train.learning_rate]


def test_what_a_recipe_says_goes_before_the_paper():
    train = FinetuneTrainSection(warmup=0.29, schedule="constant", min_learning_rate=1.0)
    assert set(FINE_TUNING.complete(train, 1e-3)) == {"betas"}
    rate = learning_rate(train, 1e-3, 100)
    assert (rate.warmup, rate.schedule, rate.end) == (29, "constant", 1e-3)
