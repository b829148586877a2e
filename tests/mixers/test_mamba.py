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


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12), (torch.bfloat16, 2e-2)]
)
@pytest.mark.parametrize("options", [{}, {"d_conv": 1, "conv_bias": False, "d_state": 3}])
def test_stepping_gives_what_the_whole_sequence_gives(make, x, options, dtype, tolerance):
    mixer, x = make("mamba", **options).to(dtype), x.to(dtype)
    whole = mixer(x)
    state, outputs = mixer.initial_state(len(x)), []
    for t in range(x.shape[1]):
        y, state = mixer.step(x[:, t], state)
        outputs.append(y)
    error = (torch.stack(outputs, dim=1) - whole).abs().max() / whole.abs().max()
    assert error <= tolerance


def test_a_step_changes_no_state_it_was_given(make, x):
    mixer = make("mamba")
    first = mixer.initial_state(len(x))
    _, second = mixer.step(x[:, 0], first)
    kept = second.window.clone(), second.ssm.clone()
    again, _ = mixer.step(x[:, 1], second)
    assert torch.equal(second.window, kept[0])
    assert torch.equal(second.ssm, kept[1])
    assert torch.equal(mixer.step(x[:, 1], second)[0], again)
    assert not first.ssm.any()
    assert second.ssm.any()
