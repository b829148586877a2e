"""What only Mamba-2 promises: its first values, its bounds, its backends, its decode step."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import softplus

from genolm.mixers import MIXERS
from genolm_kernels import use_backend

FOLDER = Path(__file__).parents[1] / "fixtures" / "golden" / "mamba2_simple"


@pytest.fixture
def original(read_golden):
    name, options, arrays = read_golden("mamba2_simple")
    d_model = options.pop("d_model")
    mixer = MIXERS[name](**options).build(d_model)
    mixer.load_state_dict(load_file(FOLDER / "model.safetensors"))
    return mixer, arrays


@pytest.mark.parametrize(("backend", "length"), [("reference", 77), ("triton", 21)])
def test_every_backend_gives_the_originals_numbers(backend, length, original):
    mixer, arrays = original
    # What comes later changes nothing: the interpreter is asked for the first positions alone.
    x = torch.from_numpy(arrays["x"])[:, :length]
    with torch.no_grad(), use_backend(backend):
        y = mixer(x)
    wanted = torch.from_numpy(arrays["y_f32"])[:, :length]
    assert (y - wanted).abs().max() < 2e-5 * wanted.abs().max()


def test_first_values_follow_the_originals_law():
    torch.manual_seed(0)
    options = {"headdim": 2, "dt_min": 0.01, "dt_max": 0.02, "dt_init_floor": 0.015}
    mixer = MIXERS["mamba2"](**options, A_init_range=[2.0, 3.0]).build(512)
    step = softplus(mixer.dt_bias)
    assert step.min() >= 0.0149
    assert 0.0198 < step.max() < 0.0201
    rates = mixer.A_log.exp()
    assert 2 <= rates.min() < 2.05
    assert 2.95 < rates.max() <= 3
    assert mixer.D.equal(torch.ones(512))


def test_step_sizes_are_kept_between_their_bounds(make, x):
    free, bound = make("mamba2"), make("mamba2", dt_limit=[0.0, 1e9])
    assert torch.allclose(bound(x), free(x), atol=1e-6)
    still = make("mamba2", dt_limit=[0.0, 0.0])
    changed = x.clone()
    changed[:, 3] += 1
    # Steps of size zero write nothing into the state: only the convolution is left.
    assert torch.allclose(still(changed)[:, 7:], still(x)[:, 7:], atol=1e-6)
    assert not torch.allclose(free(changed)[:, 7:], free(x)[:, 7:], atol=1e-6)


@pytest.mark.parametrize("name", ["mamba2", "hydra"])
def test_the_state_before_the_first_position_is_trained_on_request(name, make, x):
    assert "init_states" not in make(name).state_dict()
    mixer = make(name, learnable_init_states=True)
    assert mixer.init_states.shape == (4, 6, 8)
    mixer(x).square().sum().backward()
    assert mixer.init_states.grad.abs().max() > 0
    fresh = MIXERS[name](headdim=6, learnable_init_states=True).build(12)
    assert not fresh.init_states.any()


@pytest.mark.parametrize("name", ["mamba2", "hydra"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"headdim": 7}, "headdim must divide expand . d_model = 24, got 7"),
        ({"headdim": 48}, "headdim must divide"),
        ({"headdim": 8, "ngroups": 2}, "ngroups must divide the 3 heads"),
    ],
)
def test_heads_that_do_not_fit_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        MIXERS[name](**options).build(12)


@pytest.mark.parametrize("limit", [[1.0], [2.0, 1.0], [-1.0, 1.0], [math.nan, 1.0], ["a", "b"]])
def test_bounds_that_are_none_are_refused(limit):
    with pytest.raises(ValueError, match="dt_limit must be two numbers"):
        MIXERS["mamba2"](dt_limit=limit)


def test_groups_have_matrices_of_their_own(make, x):
    mixer = make("mamba2", ngroups=2)
    assert mixer.in_proj.out_features == 2 * 24 + 2 * 2 * 8 + 4
    assert mixer(x).shape == x.shape


@pytest.mark.parametrize(
    "options", [{}, {"ngroups": 2, "dt_limit": [0.3, 0.8], "learnable_init_states": True}]
)
def test_steps_add_up_to_the_whole(options, make, x):
    mixer = make("mamba2", **options)
    state = mixer.initial_state(len(x))
    outputs = []
    for position in x.unbind(1):
        y, state = mixer.step(position, state)
        outputs.append(y)
    assert torch.allclose(torch.stack(outputs, 1), mixer(x), atol=1e-5)


def test_float64_steps_stay_float64(make, x):
    mixer = make("mamba2").double()
    y, state = mixer.step(x[:, 0].double(), mixer.initial_state(len(x)))
    assert {y.dtype, state.window.dtype, state.ssm.dtype} == {torch.float64}
