"""Strands: split, joined, exchanged, embedded; flips only at the borders."""

import pytest
import torch

from genolm.modules.norm import RMSNorm
from genolm.modules.reverse_complement import (
    RCPSEmbedding,
    RCPSHead,
    RCPSWrapper,
    join_strands,
    split_strands,
)

COMPLEMENT = (3, 2, 1, 0, 4)


@pytest.fixture
def stream():
    return torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))


def test_splitting_and_joining_undo_each_other(stream):
    assert join_strands(split_strands(stream)).equal(stream)
    strands = split_strands(stream)
    assert strands.shape == (4, 5, 4)
    assert strands[:2].equal(stream[..., :4])
    assert strands[2:].equal(stream[..., 4:].flip(1, 2))


def test_the_reverse_complement_of_a_stream_exchanges_its_strands(stream):
    forward, backward = split_strands(stream).chunk(2)
    assert split_strands(stream.flip(1, 2)).equal(torch.cat([backward, forward]))


def test_mirrored_strands_are_those_of_the_stream_with_its_halves_swapped(stream):
    swapped = join_strands(split_strands(stream), mirrored=True)
    first, second = stream.chunk(2, dim=-1)
    assert swapped.equal(torch.cat([second, first], dim=-1))


def test_a_wrapped_norm_acts_channel_reversed_on_the_second_half(stream):
    norm = RMSNorm(4)
    torch.nn.init.normal_(norm.weight)
    out = join_strands(RCPSWrapper(norm)(split_strands(stream)))
    first, second = stream.chunk(2, dim=-1)
    assert torch.allclose(out, torch.cat([norm(first), norm(second.flip(-1)).flip(-1)], dim=-1))


def test_the_embedding_holds_the_sequence_and_its_reverse_complement():
    torch.manual_seed(0)
    embedding = RCPSEmbedding(5, 4, COMPLEMENT)
    ids = torch.tensor([[0, 1, 4, 2], [3, 3, 0, 4]])
    stream = join_strands(embedding(ids))
    table = embedding.embedding.weight
    assert stream[..., :4].equal(table[ids])
    assert stream[..., 4:].equal(table[torch.tensor(COMPLEMENT)[ids]].flip(-1))


def test_the_stored_complement_map_is_used():
    embedding, other = RCPSEmbedding(5, 4, COMPLEMENT), RCPSEmbedding(5, 4, range(5))
    other.load_state_dict(embedding.state_dict())
    ids = torch.tensor([[0, 1, 4, 2]])
    assert other(ids).equal(embedding(ids))
    assert other.complement_map.tolist() == list(COMPLEMENT)


def test_embedding_and_head_together_are_equivariant():
    torch.manual_seed(0)
    embedding, head = RCPSEmbedding(5, 4, COMPLEMENT), RCPSHead(5, 4, COMPLEMENT)
    complement = torch.tensor(COMPLEMENT)
    ids = torch.tensor([[0, 1, 4, 2, 0], [3, 3, 0, 4, 1]])
    here = head(join_strands(embedding(ids)))
    there = head(join_strands(embedding(complement[ids.flip(1)])))
    assert torch.allclose(there, here.flip(1)[..., complement], atol=1e-6)
