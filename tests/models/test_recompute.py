"""Recomputing parts of blocks: the same loss and gradients to the last bit, from less memory."""

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from genolm.modules.block import MixerMLPBlock
from genolm.modules.recompute import recompute_parts

PARTS = {"none": (), "mixer": ("mixer",), "mlp": ("mlp",), "both": ("mixer", "mlp")}


def parts_of(model):
    has_mlp = any(isinstance(module, MixerMLPBlock) for module in model.modules())
    return ["mixer", "mlp", "both"] if has_mlp else ["mixer"]


def learn(model, inputs, labels):
    """Loss, gradients, and bytes kept from the forward for the backward pass."""
    kept = {}
    own = {weight.untyped_storage().data_ptr() for weight in model.parameters()}

    def keep(tensor):
        place = tensor.untyped_storage()
        if place.data_ptr() not in own:
            kept[place.data_ptr()] = place.nbytes()
        return tensor

    model.zero_grad()
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(inputs, labels=labels).loss
    count = sum(kept.values())
    loss.backward()
    return loss, {name: p.grad.clone() for name, p in model.named_parameters()}, count


def test_recomputed_parts_change_no_bit_and_keep_less(kind, make, bases):
    model = make(kind).train()
    labels = torch.tensor([0, 1, 2]) if "classifier" in kind else bases
    loss, gradients, most = learn(model, bases, labels)
    found = {}
    for parts in parts_of(model):
        recompute_parts(model, PARTS[parts])
        again, others, found[parts] = learn(model, bases, labels)
        assert again.equal(loss)
        for name, gradient in gradients.items():
            assert gradient.equal(others[name]), (parts, name)
        assert found[parts] < most
    if "both" in found:
        assert found["both"] < min(found["mixer"], found["mlp"])
    recompute_parts(model, ())
    assert learn(model, bases, labels)[2] == most


def test_a_deep_model_keeps_a_fraction_of_the_bytes(make, bases):
    for kind, parts, share in (("ps", "mixer", 0.35), ("hyenadna", "both", 0.35)):
        model = make(kind, n_layer=8).train()
        most = learn(model, bases, bases)[2]
        recompute_parts(model, PARTS[parts])
        assert learn(model, bases, bases)[2] < share * most


def test_nothing_is_recomputed_where_nothing_is_learned(make, bases, monkeypatch):
    model = make("hyenadna")
    recompute_parts(model, PARTS["both"])
    monkeypatch.setattr("genolm.modules.recompute.checkpoint", None)
    model(bases)
    model.train()
    with torch.no_grad():
        model(bases)


@pytest.mark.parametrize("parts", ["mlp", "both"])
def test_a_part_that_is_not_there_is_refused_and_nothing_changed(parts, make):
    model = make("ps")
    recompute_parts(model, ["mixer"])
    with pytest.raises(ValueError, match="have no mlp to recompute; they have mixer"):
        recompute_parts(model, PARTS[parts])
    assert {block.recomputed for block in model.caduceus.backbone.layers} == {frozenset({"mixer"})}
