"""One long sequence over several processes: each holds a slice, and the same operators serve it.

Inside of `shard_sequence` every tensor (batch, length, channels) is a slice of a longer one, and
the operators here exchange what crosses the borders; outside they are those of `genolm_kernels`,
unchanged.
"""

from genolm.parallel.conv import causal_conv1d, fft_conv, gated_short_conv
from genolm.parallel.exchange import add_up, borrow, flip_length, next_ones
from genolm.parallel.group import (
    SequenceGroup,
    first_position,
    refuse_slices,
    sequence_group,
    shard_sequence,
    take_slice,
    whole_length,
)
from genolm.parallel.scan import bidirectional_scan, selective_scan, ssd

__all__ = [
    "SequenceGroup",
    "add_up",
    "bidirectional_scan",
    "borrow",
    "causal_conv1d",
    "fft_conv",
    "first_position",
    "flip_length",
    "gated_short_conv",
    "next_ones",
    "refuse_slices",
    "selective_scan",
    "sequence_group",
    "shard_sequence",
    "ssd",
    "take_slice",
    "whole_length",
]
