"""What crosses the borders of slices, and what cannot."""

import pytest
import torch

from genolm.heads.pooling import pool
from genolm.models.build import build_model
from genolm.objectives import token_classification_loss
from genolm.parallel import (
    SequenceGroup,
    add_up,
    first_position,
    flip_length,
    next_ones,
    sequence_group,
    shard_sequence,
    take_slice,
    whole_length,
)
from genolm.parallel.exchange import neighbours, to_channels
from tests.parallel.cases import exchange

OTHER = SequenceGroup(0, 2)  # whose second process never comes: only for what is refused before


def test_exchanges_are_what_they_say_and_so_are_their_gradients(run_ranks):
    run_ranks(3, exchange, 3)


def test_whole_sequences_are_left_alone():
    x = torch.randn(2, 4, 3)
    with shard_sequence(SequenceGroup(0, 1)):
        assert sequence_group() is None
        assert add_up(x) is x
        assert next_ones(x[..., 0], 0) is None
        assert flip_length(x, 2).equal(x.flip(1, 2))
        assert (whole_length(7), first_position(7)) == (7, 0)


def test_a_block_ends_where_it_ends():
    with shard_sequence(OTHER):
        with shard_sequence(None):
            assert sequence_group() is None
        assert sequence_group() is OTHER
    assert sequence_group() is None


def test_what_cannot_be_shared_out_is_refused():
    with pytest.raises(ValueError, match="length of 5 cannot be shared out over 2"):
        take_slice(torch.zeros(1, 5), OTHER)
    with pytest.raises(ValueError, match="3 channels cannot be shared out over 2"):
        to_channels(torch.zeros(1, 2, 3), OTHER)
    with pytest.raises(ValueError, match="slices of 2 positions are too short"):
        neighbours(torch.zeros(1, 2, 3), 3, OTHER, after=False)


def test_a_model_that_needs_whole_sequences_says_so():
    options = {"d_model": 8, "n_layer": 1, "mask_padding": True}
    model = build_model("caduceus", "masked_lm", options, seed=0)
    message = "mask_padding: true needs whole sequences"
    with shard_sequence(OTHER), pytest.raises(ValueError, match=message):
        model(input_ids=torch.randint(7, 11, (2, 8)))


def test_so_do_heads_that_look_at_all_of_a_sequence():
    with shard_sequence(OTHER):
        with pytest.raises(ValueError, match="pooling needs whole sequences"):
            pool(torch.zeros(1, 4, 2), "mean")
        with pytest.raises(ValueError, match="the loss of a classifier needs whole sequences"):
            token_classification_loss(torch.zeros(1, 4, 2), torch.zeros(1, 4, dtype=torch.long))


def test_a_sequence_is_not_read_on_in_slices(causal_model):
    with shard_sequence(OTHER), pytest.raises(ValueError, match="reading on"):
        causal_model.resume(torch.randint(7, 11, (1, 8)))


@pytest.fixture
def causal_model():
    options = {"d_model": 8, "n_layer": 1, "bidirectional": False}
    return build_model("caduceus", "causal_lm", options, seed=0)
