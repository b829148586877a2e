"""Blocks: the residual stream, its type, and the exchange of strands."""

import pytest
import torch

from genolm.mixers import Bidirectional
from genolm.mixers.mamba import MambaConfig
from genolm.modules.block import MixerBlock, MixerMLPBlock
from genolm.modules.mlp import MLP
from genolm.modules.norm import RMSNorm, make_norm
from genolm.modules.reverse_complement import RCPSWrapper


def test_the_residual_is_the_sum_of_all_that_came_before():
    block = MixerBlock(torch.nn.Linear(4, 4), RMSNorm(4))
    hidden, residual = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    out, total = block(hidden, residual)
    assert total.equal(hidden + residual)
    torch.testing.assert_close(out, block.mixer(block.norm(total)))
    assert block(hidden, None)[1].equal(hidden)


@pytest.mark.parametrize("rms", [True, False])
def test_the_residual_is_float32_beside_half_precision(rms):
    block = MixerBlock(torch.nn.Identity(), make_norm(4, 1e-5, rms=rms).bfloat16())
    hidden = torch.randn(2, 3, 4, dtype=torch.bfloat16)
    out, residual = block(hidden, None)
    assert (out.dtype, residual.dtype) == (torch.bfloat16, torch.float32)
    assert block(hidden, residual)[1].dtype == torch.float32
    wide = MixerBlock(torch.nn.Identity(), make_norm(4, 1e-5, rms=rms).double())
    assert wide(hidden.double(), None)[1].dtype == torch.float64


@pytest.mark.parametrize("rms", [True, False])
def test_a_mirrored_block_is_the_block_on_flipped_sequences(rms):
    torch.manual_seed(0)
    norm = make_norm(4, 1e-5, rms=rms)
    for parameter in norm.parameters():
        torch.nn.init.normal_(parameter)
    block = MixerBlock(Bidirectional(MambaConfig(), 4), norm)
    hidden, before = torch.randn(2, 2, 5, 4)
    wanted = block(hidden.flip(1, 2), before.flip(1, 2))
    for found, value in zip(block(hidden, before, True), wanted, strict=True):
        torch.testing.assert_close(found, value.flip(1, 2))


@pytest.mark.parametrize("rms", [True, False])
def test_a_wrapped_norm_does_what_the_norm_does(rms):
    norm = make_norm(4, 1e-5, rms=rms)
    hidden, residual = torch.randn(2, 2, 3, 4)
    plain, wrapped = (MixerBlock(torch.nn.Identity(), n) for n in (norm, RCPSWrapper(norm)))
    for found, wanted in zip(wrapped(hidden, residual), plain(hidden, residual), strict=True):
        assert found.equal(wanted)


def test_a_block_with_an_mlp_adds_both_parts_to_the_stream():
    torch.manual_seed(0)
    norms = RMSNorm(4), RMSNorm(4)
    block = MixerMLPBlock(torch.nn.Linear(4, 4), MLP(4, 6), norms)
    stream = torch.randn(2, 3, 4)
    mixed = stream + block.mixer(norms[0](stream))
    inner = torch.nn.functional.gelu(block.mlp.fc1(norms[1](mixed)), approximate="tanh")
    assert torch.allclose(block(stream), mixed + block.mlp.fc2(inner))
