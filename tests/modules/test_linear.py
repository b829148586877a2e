"""Linear layers: narrow products, float32 masters."""

import pytest
import torch
from torch.nn.functional import linear

from genolm.modules.linear import Linear, set_compute_dtype


@pytest.fixture
def x():
    return torch.randn(4, 7, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("bias", [True, False])
def test_without_a_narrow_type_it_is_the_ordinary_layer(bias, x):
    layer = Linear(7, 5, bias=bias)
    assert layer(x).equal(linear(x, layer.weight, layer.bias))
    assert torch.allclose(layer.multiply(x), linear(x, layer.weight))


@pytest.mark.parametrize("bias", [True, False])
def test_a_narrow_product_returns_the_inputs_type_and_trains_the_masters(bias, x):
    layer = Linear(7, 5, bias=bias)
    exact = layer(x)
    set_compute_dtype(layer, torch.bfloat16)
    narrow = layer(x)
    assert narrow.dtype == torch.float32
    assert 0 < (narrow - exact).abs().max() < 0.05
    assert torch.allclose(layer.multiply(x), linear(x.bfloat16(), layer.weight.bfloat16()).float())
    narrow.sum().backward()
    assert layer.weight.dtype == layer.weight.grad.dtype == torch.float32
    set_compute_dtype(layer, None)
    assert layer(x).equal(exact)


def test_the_bias_is_not_rounded(x):
    layer = Linear(7, 5)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.constant_(layer.bias, 1.00001)
    set_compute_dtype(layer, torch.bfloat16)
    assert layer(x).equal(torch.full((4, 5), 1.00001))


def test_layers_of_full_precision_are_passed_over(x):
    model = torch.nn.Sequential(Linear(7, 7), Linear(7, 7, full_precision=True))
    set_compute_dtype(model, torch.bfloat16)
    assert [layer.compute_dtype for layer in model] == [torch.bfloat16, None]
    exact = linear(x, model[1].weight, model[1].bias)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model[1](x).equal(exact)
        assert Linear(7, 7)(x).dtype == torch.bfloat16


@pytest.mark.parametrize("narrow", [None, torch.bfloat16])
@pytest.mark.parametrize("full_precision", [False, True])
def test_mirrored_products_are_those_of_flipped_channels(narrow, full_precision, x):
    layer = Linear(7, 5, full_precision=full_precision)
    set_compute_dtype(layer, narrow)
    torch.testing.assert_close(layer.mirrored(x, ends="in"), layer(x.flip(-1)))
    torch.testing.assert_close(layer.mirrored(x, ends="out"), layer(x).flip(-1))
