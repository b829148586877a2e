"""Blocks: the residual stream, its type, and the exchange of strands."""

import torch

from genolm.modules.block import MixerBlock, MixerMLPBlock, add_residual
from genolm.modules.mlp import MLP
from genolm.modules.norm import RMSNorm


def test_the_residual_is_the_sum_of_all_that_came_before():
    block = MixerBlock(torch.nn.Linear(4, 4), RMSNorm(4))
    hidden, residual = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    out, total = block(hidden, residual)
    assert total.equal(hidden + residual)
    assert out.equal(block.mixer(block.norm(total)))
    assert block(hidden, None)[1].equal(hidden)


def test_the_residual_is_float32_beside_half_precision():
    hidden = torch.randn(2, 3, 4, dtype=torch.bfloat16)
    first = add_residual(hidden, None)
    assert first.dtype == torch.float32
    assert add_residual(hidden, first).dtype == torch.float32
    assert add_residual(hidden.double(), None).dtype == torch.float64


def test_exchange_happens_before_the_norm():
    block = MixerBlock(torch.nn.Identity(), torch.nn.Identity(), exchange=True)
    strands = torch.arange(24.0).view(2, 3, 4)
    out, residual = block(strands, None)
    assert residual.equal(torch.stack([strands[1].flip(0, 1), strands[0].flip(0, 1)]))
    assert out.equal(residual)


def test_a_block_with_an_mlp_adds_both_parts_to_the_stream():
    torch.manual_seed(0)
    norms = RMSNorm(4), RMSNorm(4)
    block = MixerMLPBlock(torch.nn.Linear(4, 4), MLP(4, 6), norms)
    stream = torch.randn(2, 3, 4)
    mixed = stream + block.mixer(norms[0](stream))
    inner = torch.nn.functional.gelu(block.mlp.fc1(norms[1](mixed)), approximate="tanh")
    assert torch.allclose(block(stream), mixed + block.mlp.fc2(inner))
