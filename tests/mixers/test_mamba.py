"""What only Mamba promises: the law of its step sizes, and its rank."""

import pytest
import torch
from torch.nn.functional import softplus

from genolm.mixers import MIXERS


@pytest.mark.parametrize(("d_model", "rank"), [(16, 1), (17, 2), (118, 8), (256, 16)])
def test_the_rank_is_a_sixteenth_of_the_model_rounded_up(d_model, rank):
    assert MIXERS["mamba"]().build(d_model).dt_proj.weight.shape == (2 * d_model, rank)
    assert MIXERS["mamba"](dt_rank=3).build(d_model).dt_proj.weight.shape[1] == 3


def test_step_sizes_start_log_uniform_between_their_bounds():
    torch.manual_seed(0)
    mixer = MIXERS["mamba"](dt_min=0.01, dt_max=0.02, dt_init_floor=0.015).build(512)
    step = softplus(mixer.dt_proj.bias)
    assert step.min() >= 0.0149
    assert 0.0198 < step.max() < 0.0201
    constant = MIXERS["mamba"](dt_init="constant", dt_scale=0.5, dt_rank=4).build(16)
    assert torch.allclose(constant.dt_proj.weight, torch.tensor(0.25))


def test_biases_are_there_on_request():
    names = MIXERS["mamba"](bias=True, conv_bias=False).build(16).state_dict()
    assert "in_proj.bias" in names
    assert "out_proj.bias" in names
    assert "conv1d.bias" not in names
