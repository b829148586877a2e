"""What only Mamba promises: the law of its step sizes, and its rank."""

import pytest
import torch
from torch.nn.functional import softplus

from genolm.mixers import MIXERS

SPLITS = [(0, 29), (1, 28), (2, 0, 1, 26), (1, 1, 1, 1, 1, 1, 23), (13, 16), (24, 3, 2)]


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


def resume_in_parts(mixer, x, lengths, *, reverse, mirrored=False):
    """The outputs of pieces read one after another, each from the state that the last one left."""
    state, outputs = None, []
    for piece in x.split([*lengths][:: -1 if reverse else 1], dim=1)[:: -1 if reverse else 1]:
        y, state = mixer.resume(piece, state, reverse=reverse, mirrored=mirrored)
        outputs.append(y)
    return torch.cat(outputs[:: -1 if reverse else 1], dim=1), state


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 7])
def test_pieces_read_one_after_another_give_what_the_whole_gives(
    make, x, width, reverse, dtype, tolerance
):
    mixer, x = make("mamba", d_conv=width, bias=True).to(dtype), x.to(dtype)
    for mirrored in (False, True):
        whole = mixer(x, reverse=reverse, mirrored=mirrored)
        scale = max(1.0, float(whole.detach().abs().max()))
        _, end = mixer.resume(x, reverse=reverse, mirrored=mirrored)
        for lengths in SPLITS:
            y, state = resume_in_parts(mixer, x, lengths, reverse=reverse, mirrored=mirrored)
            for found, expected in ((y, whole), (state.ssm, end.ssm), (state.window, end.window)):
                assert found.shape == expected.shape
                assert torch.allclose(found, expected, rtol=0, atol=tolerance * scale)


def test_a_core_goes_on_from_the_state_that_steps_left(make, x):
    mixer = make("mamba").double()
    x = x.double()
    state = mixer.initial_state(len(x))
    for t in range(11):
        _, state = mixer.step(x[:, t], state)
    rest, _ = mixer.core_from(mixer.project_in(x[:, 11:], mirrored=False), state)
    whole = mixer.core(mixer.project_in(x, mirrored=False))
    assert (rest - whole[:, 11:]).abs().max() < 1e-12


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_gradients_pass_through_the_state_between_two_pieces(make, x, reverse):
    mixer, x = make("mamba").double(), x.double().requires_grad_()
    weights = torch.randn(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(2))
    tensors = [x, *mixer.parameters()]
    whole = torch.autograd.grad((mixer(x, reverse=reverse) * weights).sum(), tensors)
    y, _ = resume_in_parts(mixer, x, (10, 19), reverse=reverse)
    pieces = torch.autograd.grad((y * weights).sum(), tensors)
    for expected, found in zip(whole, pieces, strict=True):
        assert (found - expected).abs().max() <= 1e-11 * max(1, float(expected.abs().max()))


def test_resuming_changes_no_state_it_was_given(make, x):
    mixer = make("mamba")
    _, state = mixer.resume(x[:, :9])
    kept = state.window.clone(), state.ssm.clone()
    first, _ = mixer.resume(x[:, 9:], state)
    assert torch.equal(state.window, kept[0])
    assert torch.equal(state.ssm, kept[1])
    assert torch.equal(mixer.resume(x[:, 9:], state)[0], first)
