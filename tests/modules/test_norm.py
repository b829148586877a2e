"""Norms: their equations, and float32 inside."""

import pytest
import torch

from genolm.modules.norm import LayerNorm, RMSNorm, make_norm


@pytest.fixture
def x():
    return torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_rms_norm_is_its_equation(x):
    norm = RMSNorm(8, 1e-3).double()
    torch.nn.init.normal_(norm.weight)
    wanted = x / torch.sqrt((x**2).mean(-1, keepdim=True) + 1e-3) * norm.weight
    assert torch.allclose(norm(x), wanted)


def test_layer_norm_is_its_equation(x):
    norm = LayerNorm(8, 1e-3).double()
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    centred = x - x.mean(-1, keepdim=True)
    scale = torch.sqrt((centred**2).mean(-1, keepdim=True) + 1e-3)
    assert torch.allclose(norm(x), centred / scale * norm.weight + norm.bias)


@pytest.mark.parametrize("rms", [True, False])
def test_a_half_precision_norm_computes_in_float32(rms, x):
    norm = make_norm(8, 1e-5, rms=rms)
    wide = norm(x.float())
    narrow = norm.bfloat16()(x.float())
    assert narrow.dtype == torch.bfloat16
    assert narrow.equal(wide.bfloat16())


def test_the_config_chooses_the_norm():
    assert isinstance(make_norm(8, 1e-5, rms=True), RMSNorm)
    assert isinstance(make_norm(8, 1e-5, rms=False), LayerNorm)


@pytest.mark.parametrize("rms", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_adding_and_normalising_is_the_sum_and_its_norm(rms, dtype, x):
    norm = make_norm(8, 1e-5, rms=rms)
    torch.nn.init.normal_(norm.weight)
    hidden, residual = x.to(dtype), x.flip(1).float()
    normed, total = norm.add(hidden, residual)
    assert total.dtype == torch.float32
    torch.testing.assert_close(total, hidden.float() + residual)
    torch.testing.assert_close(normed, norm(total))


@pytest.mark.parametrize("rms", [True, False])
@pytest.mark.parametrize("shape", [(8,), (5, 8), (2, 3, 8), (2, 3, 4, 8)])
def test_axes_before_the_channels_are_all_alike(rms, shape):
    norm = make_norm(8, 1e-5, rms=rms)
    values = torch.randn(shape)
    found = norm(values)
    assert found.shape == shape
    torch.testing.assert_close(found.reshape(-1, 8), norm(values.reshape(-1, 8)))
