"""Hidden states of one strand, or of both, to one prediction per sequence."""

from typing import Final

import torch
from torch import Tensor, nn

from genolm.modules.precision import at_least_float32

FIRST_BASE_ID: Final = 7
LAST_BASE_ID: Final = 10
UNKNOWN_BASE_ID: Final = 11
"""Token ids of A and T, with C and G between them, and of N."""


def stack_conjoined(input_ids: Tensor) -> Tensor:
    """Stack forward and reverse-complement ids (batch, length, 2) as (2 batch, length)."""
    return input_ids.movedim(-1, 0).flatten(0, 1)


def with_other_strand(input_ids: Tensor) -> Tensor:
    """Put beside ids (batch, length) those of the reverse complement: (batch, length, 2).

    What stands before the first base of a row and behind its last one (padding, special tokens)
    stays where it is, as when the other strand is tokenized.
    """
    real = (input_ids >= FIRST_BASE_ID) & (input_ids <= UNKNOWN_BASE_ID)
    position = torch.arange(input_ids.shape[1], device=input_ids.device).expand_as(input_ids)
    first = real.int().argmax(dim=1, keepdim=True)
    last = torch.where(real, position, -1).amax(dim=1, keepdim=True)
    inside = (first <= position) & (position <= last)
    source = torch.where(inside, first + last - position, position)
    known = real & (input_ids < UNKNOWN_BASE_ID)
    complement = torch.where(known, FIRST_BASE_ID + LAST_BASE_ID - input_ids, input_ids)
    return torch.stack([input_ids, complement.gather(1, source)], dim=-1)


def side_by_side(pooled: Tensor) -> Tensor:
    """Put the pooled states of both strands (2 batch, d_model) beside each other.

    Returns:
        (batch, 2 d_model): first what reads the strand given, then what reads the opposite one.
    """
    return torch.cat(pooled.chunk(2), dim=1)


def score_strands(pooled: Tensor, score: nn.Module, *, both: bool) -> Tensor:
    """Score pooled states; with both strands stacked, average their logits.

    Args:
        pooled: Pooled states (batch, d_model), or (2 batch, d_model) with both strands.
        score: Module d_model to num_labels.
        both: Whether the batch holds both strands.

    Returns:
        Logits (batch, num_labels), float32 at least.
    """
    logits = at_least_float32(score(pooled))
    return logits.view(2, -1, logits.shape[-1]).mean(dim=0) if both else logits
