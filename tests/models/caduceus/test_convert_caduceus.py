"""Checkpoints of Caduceus's training code: prefixes, metrics and repeated names."""

import pytest
import torch

from genolm.errors import InputError
from genolm.models.caduceus.convert_caduceus import convert_checkpoint


@pytest.mark.parametrize("kind", ["ph", "ps", "ps_unfused", "ph_untied"])
def test_a_training_checkpoint_becomes_the_model_it_was(kind, make, tmp_path, bases):
    model = make(kind)
    tensors = {f"model.{key}": value for key, value in model.state_dict().items()}
    if model.config.bidirectional_weight_tie:
        projections = [key for key in tensors if "mamba_fwd" in key and "_proj" in key]
        for key in projections:
            if "in_proj" in key or "out_proj" in key:
                tensors[key.replace("mamba_fwd", "mamba_rev")] = tensors[key]
    metrics = {"train_torchmetrics.num_tokens.count": torch.tensor(5)}
    torch.save({"state_dict": {**tensors, **metrics}, "epoch": 1}, tmp_path / "last.ckpt")
    options = {name: getattr(model.config, name) for name in type(model.config).kinds()}
    again = convert_checkpoint(tmp_path / "last.ckpt", options)
    assert again(bases).logits.equal(model(bases).logits)
    assert not again.training


def test_a_checkpoint_of_another_size_is_refused(make, tmp_path):
    tensors = {f"model.{key}": value for key, value in make("ph").state_dict().items()}
    torch.save({"state_dict": tensors}, tmp_path / "last.ckpt")
    with pytest.raises(InputError, match="lacks"):
        convert_checkpoint(tmp_path / "last.ckpt", {"d_model": 16, "n_layer": 3})
