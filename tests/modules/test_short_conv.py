"""The short convolution: causal, anti-causal, like torch's own."""

import pytest
import torch

from genolm.modules.short_conv import ShortConv


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", [None, "silu"])
def test_it_is_a_depthwise_convolution_padded_on_the_left(bias, activation):
    torch.manual_seed(0)
    conv = ShortConv(6, 4, bias=bias, activation=activation)
    own = torch.nn.Conv1d(6, 6, 4, groups=6, padding=3, bias=bias)
    own.load_state_dict(conv.state_dict())
    x = torch.randn(2, 9, 6)
    wanted = own(x.mT)[..., :9].mT
    wanted = torch.nn.functional.silu(wanted) if activation else wanted
    assert torch.allclose(conv(x), wanted, atol=1e-6)
    assert torch.allclose(conv(x, reverse=True), conv(x.flip(1)).flip(1), atol=1e-6)


def test_it_starts_like_torchs_own():
    torch.manual_seed(0)
    conv = ShortConv(2000, 4)
    for tensor in (conv.weight, conv.bias):
        assert 0.49 < tensor.max() <= 0.5
        assert -0.5 <= tensor.min() < -0.49
