"""What only Hydra promises: both ends at once, its diagonal, its backends."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from genolm.mixers import MIXERS
from genolm_kernels import use_backend

FOLDER = Path(__file__).parents[1] / "fixtures" / "golden" / "hydra_mixer"


@pytest.fixture
def original(read_golden):
    name, options, arrays = read_golden("hydra_mixer")
    d_model = options.pop("d_model")
    mixer = MIXERS[name](**options).build(d_model)
    mixer.load_state_dict(load_file(FOLDER / "model.safetensors"))
    return mixer, arrays


def test_the_reference_gives_the_originals_numbers(original):
    mixer, arrays = original
    with torch.no_grad(), use_backend("reference"):
        y = mixer(torch.from_numpy(arrays["x"]))
    wanted = torch.from_numpy(arrays["y_f32"])
    assert (y - wanted).abs().max() < 2e-5 * wanted.abs().max()


def test_triton_agrees_with_the_reference(original):
    mixer, arrays = original
    x = torch.from_numpy(arrays["x"])[:1, :19]
    results = []
    for backend in ("triton", "reference"):
        with torch.no_grad(), use_backend(backend):
            results.append(mixer(x))
    assert (results[0] - results[1]).abs().max() < 2e-5 * results[1].abs().max()


def test_every_position_sees_every_other(make, x):
    mixer = make("hydra")
    for position in (0, 14, 28):
        changed = x.clone()
        changed[:, position] += 1
        assert (mixer(changed) - mixer(x)).abs().amax(dim=(0, 2)).min() > 0


def test_a_position_meets_itself_in_the_skip_alone(make, x):
    mixer = make("hydra", d_conv=1)
    with torch.no_grad():
        mixer.fc_D.weight.zero_()
        mixer.D.zero_()
    # The mixer without its gate, which sees the position itself, too.
    projected = mixer.in_proj(x)
    changed = projected.clone()
    changed[:, 14, 24:] += 1
    difference = (mixer.core(changed) - mixer.core(projected)).abs().amax(dim=(0, 2))
    others = torch.ones(29, dtype=torch.bool)
    others[14] = False
    assert difference[others].min() > 0
    only = mixer.core(projected[:, 14:15])
    assert not only.any()


def test_first_values_follow_the_originals_law():
    mixer = MIXERS["hydra"](headdim=4).build(16)
    assert not mixer.A_log.any()
    assert mixer.D.equal(torch.ones(8))


def test_a_filter_without_a_middle_is_refused():
    with pytest.raises(ValueError, match="d_conv must be odd, got 4"):
        MIXERS["hydra"](d_conv=4)


def test_step_sizes_are_kept_between_their_bounds(make, x):
    free, bound = make("hydra"), make("hydra", dt_limit=[0.0, 1e9])
    assert torch.allclose(bound(x), free(x), atol=1e-6)
    still = make("hydra", dt_limit=[0.0, 0.0])
    changed = x.clone()
    changed[:, 10] += 1
    difference = (still(changed) - still(x)).abs().amax(dim=(0, 2))
    assert difference[[*range(7), *range(14, 29)]].max() < 1e-6
