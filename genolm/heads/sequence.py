"""Hidden states of one strand, or of both, to one prediction per sequence."""

import torch
from torch import Tensor, nn

from genolm.modules.precision import at_least_float32


def stack_conjoined(input_ids: Tensor) -> Tensor:
    """Stack forward and reverse-complement ids (batch, length, 2) as (2 batch, length)."""
    return input_ids.movedim(-1, 0).flatten(0, 1)


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
