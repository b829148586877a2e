"""What only Hyena promises: its longest sequence, its frequencies, its trained positions."""

import pytest
import torch

from genolm.mixers import MIXERS, hyena
from genolm.modules.linear import set_compute_dtype


@pytest.fixture
def by_channels(monkeypatch):
    """Let every sequence without gradients go by 16 channels at a time; counts how often."""
    monkeypatch.setattr(hyena, "MOST_PROJECTED_BYTES", 0)
    monkeypatch.setattr(hyena, "TILE_BYTES", 1)
    calls = []
    mix = hyena.Hyena.mix_by_channels

    def counted(self, x, *, reverse=False):
        calls.append(x.shape)
        return mix(self, x, reverse=reverse)

    monkeypatch.setattr(hyena.Hyena, "mix_by_channels", counted)
    return calls


def test_a_sequence_beyond_the_longest_is_refused(make):
    mixer = make("hyena", l_max=10)
    assert mixer(torch.ones(1, 10, 12)).shape == (1, 10, 12)
    with pytest.raises(ValueError, match=r"11 tokens.*at most 10"):
        mixer(torch.ones(1, 11, 12))
    assert MIXERS["hyena"](l_max=10).max_length == 10


def test_the_filter_depends_on_the_longest_length_not_on_the_present_one(make):
    mixer = make("hyena", l_max=50)
    assert mixer.filter_fn(20).equal(mixer.filter_fn(50)[:20])
    assert not torch.allclose(make("hyena", l_max=60).filter_fn(20), mixer.filter_fn(20))


def test_the_sines_share_their_frequencies(make):
    names = [name for name in make("hyena").state_dict() if name.endswith("freq")]
    assert names == ["filter_fn.implicit_filter.1.freq"]


def test_frequencies_and_positions_are_trained_on_request(make, x):
    fixed = make("hyena", train_freq=False)
    assert not dict(fixed.named_parameters())["filter_fn.implicit_filter.1.freq"].requires_grad
    assert "filter_fn.pos_emb.z" not in dict(make("hyena").named_parameters())
    trained = make("hyena", lr_pos_emb=1e-5)
    trained(x).sum().backward()
    assert trained.filter_fn.pos_emb.z.grad.abs().max() > 0


@pytest.mark.parametrize("order", [2, 3, 4])
def test_higher_orders_have_a_filter_for_each_convolution(order, make, x):
    mixer = make("hyena", order=order)
    assert mixer.filter_fn(9).shape == (9, (order - 1) * 12)
    assert mixer(x).shape == x.shape


def test_filters_stay_float32_whatever_the_products_are(make, x):
    mixer = make("hyena")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert mixer.filter_fn(9).equal(mixer.filter_fn(9).float())
        assert mixer.filter_fn(9).dtype == torch.float32


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_by_channels_the_numbers_are_the_same(dtype, order, reverse, make, by_channels):
    mixer = make("hyena", d_model=40, order=order).to(dtype)
    x = torch.randn(2, 29, 40, dtype=dtype)
    wanted = mixer(x, reverse=reverse)
    assert not by_channels
    with torch.no_grad():
        found = mixer(x, reverse=reverse)
    assert by_channels == [x.shape]
    tolerance = {torch.float32: 1e-6, torch.float64: 1e-12}[dtype]
    assert found.dtype == wanted.dtype
    assert (found - wanted).abs().max() <= tolerance * wanted.abs().max()


def test_by_channels_narrow_products_stay_narrow(make, by_channels):
    mixer = make("hyena", d_model=40)
    x = torch.randn(2, 29, 40)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        wanted = mixer(x)
        with torch.no_grad():
            found = mixer(x)
    assert found.dtype == wanted.dtype
    assert (found - wanted).abs().max() <= 0.02 * wanted.abs().max()
    set_compute_dtype(mixer, torch.bfloat16)
    with torch.no_grad():
        found = mixer(x)
    assert (found - mixer(x)).abs().max() <= 0.02 * found.abs().max()
    assert len(by_channels) == 2


def test_by_channels_too_long_a_sequence_is_refused(make, by_channels):
    with torch.no_grad(), pytest.raises(ValueError, match=r"11 tokens.*at most 10"):
        make("hyena", l_max=10)(torch.ones(1, 11, 12))


def test_a_projection_that_is_watched_or_replaced_is_run_whole(make, by_channels):
    mixer = make("hyena")
    seen = []
    mixer.in_proj.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    with torch.no_grad():
        mixer(torch.ones(1, 9, 12))
    assert seen == [(1, 9, 36)]
    other = make("hyena")
    other.in_proj = torch.nn.Sequential(other.in_proj, torch.nn.Identity())
    with torch.no_grad():
        other(torch.ones(1, 9, 12))
    assert not by_channels


def test_filters_of_some_channels_are_those_of_all(make):
    filters = make("hyena", d_model=20, order=3).filter_fn
    features = filters.features(23)
    for some in (slice(0, 16), slice(16, 40)):
        torch.testing.assert_close(filters.taps(features, some), filters(23)[:, some])
