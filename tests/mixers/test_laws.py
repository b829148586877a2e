"""Laws that hold for every entry of MIXERS, so that a new mixer is tested by being listed."""

import sys
from dataclasses import fields

import pytest
import torch

from genolm.mixers import MIXERS, Bidirectional, Unidirectional, parse_mixer
from genolm.modules.linear import Linear, set_compute_dtype
from genolm.modules.reverse_complement import RCPSWrapper, join_strands, split_strands


@pytest.mark.parametrize("length", [1, 2, 29])
def test_shape_is_kept(name, length, make, x):
    assert make(name)(x[:, :length]).shape == (3, length, 12)


def test_a_causal_mixer_does_not_look_ahead(name, make, x):
    mixer = make(name)
    changed = x.clone()
    changed[:, 17] += 1
    difference = (mixer(changed) - mixer(x)).abs().amax(dim=(0, 2))
    assert difference[17:].min() > 0
    if MIXERS[name].causal:
        assert difference[:17].max() < 1e-5


def test_backwards_is_forwards_on_the_flipped_sequence(name, make, x):
    mixer = make(name)
    assert torch.allclose(mixer(x, reverse=True), mixer(x.flip(1)).flip(1), atol=1e-5)


def test_sequences_of_a_batch_do_not_meet(name, make, x):
    mixer = make(name)
    alone = torch.cat([mixer(row[None]) for row in x])
    assert torch.allclose(mixer(x), alone, atol=1e-5)


def test_float64_stays_float64(name, make, x):
    mixer = make(name).double()
    assert mixer(x.double()).dtype == torch.float64
    for tensor in mixer.state_dict().values():
        assert tensor.dtype == torch.float64


def test_float32_is_close_to_float64(name, make, x):
    wide = make(name).double()(x.double())
    assert torch.allclose(make(name)(x).double(), wide, atol=1e-4 * wide.abs().max().item())


def test_autocast_and_narrow_products_stay_close(name, make, x):
    exact = make(name)(x)
    scale = exact.abs().max()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (make(name)(x) - exact).abs().max() < 0.05 * scale
    narrow = make(name)
    set_compute_dtype(narrow, torch.bfloat16)
    assert narrow(x).dtype == torch.float32
    assert 0 < (narrow(x) - exact).abs().max() < 0.05 * scale


def test_every_linear_layer_is_ours(name, make):
    for module in make(name).modules():
        assert isinstance(module, Linear) or not isinstance(module, torch.nn.Linear)


def test_the_same_seed_builds_the_same_mixer(name, make):
    first, second, other = (make(name, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(second[key].equal(value) for key, value in first.items())
    assert any(not other[key].equal(value) for key, value in first.items())


@pytest.mark.parametrize("merge", ["add", "ew_multiply"])
@pytest.mark.parametrize("tie", [True, False])
def test_two_directions_are_the_mixer_and_its_flip(config, merge, tie, x):
    torch.manual_seed(3)
    both = Bidirectional(config, 12, merge=merge, tie=tie).double()
    x = x.double()
    backward = config.build(12).double()
    own = both.mamba_rev.state_dict()
    shared = {k: v for k, v in both.mamba_fwd.state_dict().items() if k not in own}
    assert {key.split(".")[0] for key in shared} == ({"in_proj", "out_proj"} if tie else set())
    backward.load_state_dict({**own, **shared})
    there = backward(x.flip(1)).flip(1)
    here = both.mamba_fwd(x)
    wanted = here * there if merge == "ew_multiply" else here + there
    assert torch.allclose(both(x), wanted, atol=1e-9)


@pytest.mark.parametrize("merge", ["add", "ew_multiply"])
@pytest.mark.parametrize("tie", [True, False])
def test_mirrored_is_the_pair_on_the_sequence_flipped_in_positions_and_channels(
    config, merge, tie, x
):
    torch.manual_seed(3)
    both = Bidirectional(config, 12, merge=merge, tie=tie).double()
    x = x.double()
    wanted = both(x.flip(1, 2)).flip(1, 2)
    assert torch.allclose(both(x, mirrored=True), wanted, atol=1e-9)
    set_compute_dtype(both, torch.bfloat16)
    assert torch.allclose(both(x, mirrored=True), wanted, atol=0.05 * wanted.abs().max().item())


@pytest.mark.parametrize("mirrored", [False, True])
def test_large_batches_are_mixed_one_sequence_at_a_time(config, mirrored, x, monkeypatch):
    torch.manual_seed(3)
    both = Bidirectional(config, 12).double()
    wanted = both(x.double(), mirrored=mirrored)
    seen = []
    core = both.mamba_fwd.core_both_ways
    monkeypatch.setattr(
        both.mamba_fwd,
        "core_both_ways",
        lambda other, p, **options: seen.append(len(p)) or core(other, p, **options),
    )
    monkeypatch.setattr(sys.modules["genolm.mixers.bidirectional"], "MOST_ELEMENTS", 1)
    with torch.no_grad():
        assert torch.allclose(both(x.double(), mirrored=mirrored), wanted, atol=1e-12)
    assert seen == [1, 1, 1]
    both(x.double())
    assert seen[3:] == [3]


def test_one_mirrored_direction_is_the_mixer_on_the_flipped_sequence(config, x):
    torch.manual_seed(3)
    one = Unidirectional(config, 12).double()
    x = x.double()
    assert torch.allclose(one(x, mirrored=True), one(x.flip(1, 2)).flip(1, 2), atol=1e-9)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_shared_bias_is_added_once_for_each_direction(mirrored, x):
    torch.manual_seed(3)
    both = Bidirectional(MIXERS["mamba"](bias=True), 12)
    bias = both.mamba_fwd.out_proj.bias
    torch.nn.init.zeros_(both.mamba_fwd.out_proj.weight)
    wanted = 2 * (bias.flip(0) if mirrored else bias)
    assert torch.allclose(both(x, mirrored=mirrored), wanted.expand_as(x))


def test_an_unknown_merge_is_refused():
    with pytest.raises(ValueError, match="add, ew_multiply"):
        Bidirectional(MIXERS["mamba"](), 12, merge="sum")


@pytest.mark.parametrize("directions", [1, 2])
def test_under_the_wrapper_every_mixer_is_equivariant(name, config, directions, make):
    mixer = make(name) if directions == 1 else Bidirectional(config, 12)
    wrapper = RCPSWrapper(mixer)
    stream = torch.randn(2, 21, 24, generator=torch.Generator().manual_seed(2))
    there = join_strands(wrapper(split_strands(stream.flip(1, 2))))
    here = join_strands(wrapper(split_strands(stream)))
    assert torch.allclose(there, here.flip(1, 2), atol=1e-5)
    assert not torch.allclose(here, stream)


def test_an_unknown_option_is_refused_with_the_known_ones(name):
    known = [field.name for field in fields(MIXERS[name])]
    for attempt in (
        lambda: MIXERS[name](d_stat=3),
        lambda: parse_mixer({"name": name, "d_stat": 3}),
    ):
        with pytest.raises(ValueError, match="'d_stat'") as caught:
            attempt()
        assert all(option in str(caught.value) for option in known)


def test_a_value_of_the_wrong_type_is_refused(name):
    option = fields(MIXERS[name])[0].name
    with pytest.raises(ValueError, match=f"{option} must be"):
        MIXERS[name](**{option: object()})


def test_a_config_cannot_be_changed(config):
    option = fields(config)[0].name
    with pytest.raises(AttributeError):
        setattr(config, option, 3)


def test_a_mixer_is_read_from_a_mapping(name):
    assert parse_mixer({"name": name}) == MIXERS[name]()
    for wrong in ({}, {"name": "mambo"}, {"name": None}):
        with pytest.raises(ValueError, match=", ".join(sorted(MIXERS))):
            parse_mixer(wrong)
