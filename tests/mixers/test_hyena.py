"""What only Hyena promises: its longest sequence, its frequencies, its trained positions."""

import pytest
import torch

from genolm.mixers import MIXERS


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
