import pytest
import torch

from genolm import load
from genolm.errors import UsageError
from genolm.models import build_model
from genolm.training import lora
from genolm.training.finetune import finetune
from genolm.training.lora import add_adapters, merge_adapters
from genolm.training.recipe_methods import LoRASection
from tests.training.outcomes import metrics, same, weights

pytest.importorskip("peft", reason="needs peft: pip install 'genolm[lora]'")

EQUIVARIANT = {"d_model": 8, "n_layer": 2, "rcps": True, "num_labels": 2}
MODELS = {
    "equivariant": ("caduceus", EQUIVARIANT),
    "unfused": ("caduceus", EQUIVARIANT | {"fused_add_norm": False}),
    "untied": ("caduceus", EQUIVARIANT | {"rcps": False, "bidirectional_weight_tie": False}),
    "one way": ("caduceus", EQUIVARIANT | {"rcps": False, "bidirectional": False}),
    "mamba2": ("caduceus", EQUIVARIANT | {"mixer": {"name": "mamba2", "headdim": 4}}),
    "hydra": ("caduceus", EQUIVARIANT | {"mixer": {"name": "hydra", "headdim": 4}}),
    "hyena": ("hyenadna", {"d_model": 8, "n_layer": 2, "max_seq_len": 32, "num_labels": 2}),
}
IDS = torch.randint(7, 11, (3, 21), generator=torch.Generator().manual_seed(0))


def adapted(kind, **section):
    """A model whose adapters already change something."""
    family, options = MODELS[kind]
    model = build_model(family, "classification", options, seed=0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    add_adapters(model, LoRASection(**section), seed=1)
    model.eval()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model, before


@pytest.mark.parametrize("kind", MODELS)
def test_merging_changes_no_output_and_leaves_an_ordinary_model(kind):
    model, before = adapted(kind)
    with torch.no_grad():
        wanted = model(IDS).logits
        merge_adapters(model)
        found = model(IDS).logits
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    after = model.state_dict()
    assert list(after) == list(before)
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed
    assert all(name.endswith("weight") and "norm" not in name for name in changed)
    assert "score.weight" not in changed


@pytest.mark.parametrize("kind", ["equivariant", "unfused", "mamba2", "hydra"])
@pytest.mark.parametrize("merged", [False, True])
def test_adapted_models_stay_equivariant(kind, merged):
    model, _ = adapted(kind)
    if merged:
        merge_adapters(model)
    with torch.no_grad():
        one = model.base_model(IDS).last_hidden_state
        other = model.base_model((17 - IDS).flip(1)).last_hidden_state
    torch.testing.assert_close(one, other.flip(1, 2), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["equivariant", "untied", "hyena"])
def test_adapters_and_the_head_are_trained_and_nothing_else(kind):
    model, _ = adapted(kind, targets=("in_proj",))
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert "score.weight" in trained
    assert all("in_proj.lora_" in name for name in trained - {"score.weight"})
    assert len(trained) > 2
    model.train()
    model(IDS, labels=torch.tensor([0, 1, 0])).loss.backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == (name in trained)


def test_dropout_is_of_the_adapters_and_of_training():
    model, _ = adapted("equivariant", dropout=0.5)
    with torch.no_grad():
        assert torch.equal(model(IDS).logits, model(IDS).logits)
        model.train()
        assert not torch.equal(model(IDS).logits, model(IDS).logits)


def test_a_run_resumes_exactly_and_publishes_a_model_without_adapters(
    finetuning, tmp_path, power_cut
):
    train = {"lora": {"rank": 2, "dropout": 0.1}, "epochs": 2}
    model = {"family": "caduceus", "d_model": 8, "n_layer": 1, "rcps": True}
    whole, stopped = (
        finetuning(model=model, output=tmp_path / name, train=train) for name in ("a", "b")
    )
    finetune(whole)
    with power_cut(5, by=KeyboardInterrupt):
        finetune(stopped)
    finetune(stopped)
    one, other = (weights(run) for run in (whole, stopped))
    assert not [name for name in one if "lora" in name or "base_layer" in name]
    assert same(one, other)
    tuned, _ = load(whole.output / "model")
    fresh = build_model("caduceus", "classification", EQUIVARIANT | {"n_layer": 1}, seed=1)
    kept = {name: tensor for name, tensor in fresh.state_dict().items() if "norm" in name}
    assert all(torch.equal(tensor, tuned.state_dict()[name]) for name, tensor in kept.items())
    assert metrics(whole)["parameters"] == sum(p.numel() for p in tuned.parameters())


def test_without_peft_the_command_that_installs_it_is_named(finetuning, monkeypatch):
    monkeypatch.setattr(lora, "find_spec", lambda name: None)
    recipe = finetuning(train={"lora": True})
    with pytest.raises(UsageError, match=r"peft is not installed: pip install 'genolm\[lora\]'"):
        finetune(recipe)
    assert not recipe.output.exists()


def test_unknown_targets_are_refused_with_those_that_there_are(finetuning):
    with pytest.raises(UsageError, match=r"no layer 'q_proj'; there are \['dt_proj', 'in_proj'"):
        finetune(finetuning(train={"lora": {"targets": ["q_proj"]}}))
    with pytest.raises(ValueError, match=r"leave out train\.freeze_backbone"):
        finetuning(train={"lora": True, "freeze_backbone": True})
