"""Weights shared out over processes; what they learn is in test_ranks.py."""

import pytest

from genolm.errors import UsageError
from genolm.models.build import build_model
from genolm.training.pretrain import pretrain
from genolm.training.weight_shards import join_weights


def test_one_process_has_nobody_to_share_with(pretraining):
    recipe = pretraining(train={"sharding": "fsdp"})
    with pytest.raises(UsageError, match="fsdp needs several processes; start it with torchrun"):
        pretrain(recipe)
    assert not recipe.output.exists()


def test_whole_weights_are_left_alone():
    model = build_model("caduceus", "masked_lm", {"d_model": 8, "n_layer": 1}, seed=0)
    assert join_weights(model) is model
