"""One vector from the hidden states of a sequence."""

from typing import Literal, get_args

import torch
from torch import Tensor

from genolm.modules.precision import at_least_float32
from genolm.parallel import refuse_slices

Pooling = Literal["mean", "sum", "max", "first", "last"]


def pool(hidden: Tensor, strategy: Pooling, mask: Tensor | None = None) -> Tensor:
    """Pool hidden states over the length.

    Args:
        hidden: Hidden states (batch, length, channels).
        strategy: mean, sum, max, first or last.
        mask: Positions that count (batch, length), at least one in each row or zeros are
            returned for it; None counts all, padding included, as the published results do.

    Returns:
        Pooled states (batch, channels).

    Raises:
        ValueError: If the strategy is unknown.
    """
    refuse_slices("pooling")
    if strategy not in get_args(Pooling):
        raise ValueError(f"pooling must be one of {', '.join(get_args(Pooling))}, got {strategy!r}")
    if mask is not None:
        return _pool_masked(hidden, strategy, mask.bool())
    if strategy == "first":
        return hidden[:, 0]
    if strategy == "last":
        return hidden[:, -1]
    if strategy == "max":
        return hidden.amax(dim=1)
    return hidden.mean(dim=1) if strategy == "mean" else hidden.sum(dim=1)


def _pool_masked(hidden: Tensor, strategy: Pooling, mask: Tensor) -> Tensor:
    hidden = hidden.masked_fill(~mask[..., None], 0)
    position = torch.arange(mask.shape[1], device=mask.device)
    if strategy == "first":
        return take_position(hidden, mask.int().argmax(dim=1))
    if strategy == "last":
        return take_position(hidden, torch.where(mask, position, -1).amax(dim=1))
    count = mask.sum(dim=1, keepdim=True)
    if strategy == "max":
        largest = hidden.masked_fill(~mask[..., None], -torch.inf).amax(dim=1)
        return largest.masked_fill(count == 0, 0)
    total = hidden.sum(dim=1)
    return total / count.clamp(min=1) if strategy == "mean" else total


def segment_means(hidden: Tensor, segments: int, mask: Tensor | None = None) -> Tensor:
    """Average hidden states over each of some equal parts of the sequence.

    Args:
        hidden: Hidden states (batch, length, channels).
        segments: Parts; the n positions of a sequence are split so that position i is in part
            floor(i segments / n). Parts of a sequence with fewer positions may be empty.
        mask: Positions that count (batch, length); None counts all.

    Returns:
        Means of the parts, in their order (batch, segments * channels); zeros for empty ones.
    """
    refuse_slices("pooling")
    if mask is None:
        mask = torch.ones(hidden.shape[:2], dtype=torch.bool, device=hidden.device)
    mask = mask.bool()
    rank, count = mask.cumsum(dim=1) - 1, mask.sum(dim=1, keepdim=True)
    part = rank.clamp(min=0) * segments // count.clamp(min=1)
    # Left out positions may hold anything, NaN too, which a weight of zero would let through.
    hidden = hidden.masked_fill(~mask[..., None], 0)
    chosen = torch.arange(segments, device=hidden.device)[:, None] == part[:, None]
    weights = (chosen & mask[:, None]).to(hidden.dtype)
    means = weights / weights.sum(dim=2, keepdim=True).clamp(min=1) @ hidden
    return means.flatten(1)


def take_position(hidden: Tensor, position: Tensor) -> Tensor:
    """Take one position of each sequence.

    Args:
        hidden: Hidden states (batch, length, channels).
        position: Position in each sequence (batch,); negative ones count from the end.

    Returns:
        States (batch, channels).
    """
    return hidden[torch.arange(hidden.shape[0], device=hidden.device), position]


def before_first_pad(input_ids: Tensor, pad_token_id: int) -> Tensor:
    """Find the position that HyenaDNA's classifier reads.

    Args:
        input_ids: Token ids (batch, length).
        pad_token_id: Id of the padding token.

    Returns:
        Position before the first padding token (batch,); -1, the last position, where there is no
        padding or where it comes first.
    """
    return (input_ids == pad_token_id).int().argmax(dim=1) - 1


def window_mean(hidden: Tensor, centre: Tensor, window: int) -> Tensor:
    """Average hidden states around a position (the variant-effect protocol of Caduceus).

    Args:
        hidden: Hidden states (batch, length, channels).
        centre: Position in each sequence (batch,), 0-based.
        window: Width, in bases; window // 2 positions on either side count, besides the centre.
            Positions beyond an end count the end's own states once more.

    Returns:
        Mean states (batch, channels), float32 at least.
    """
    half = window // 2
    offsets = torch.arange(-half, half + 1, device=hidden.device)
    positions = (centre[:, None] + offsets).clamp(0, hidden.shape[1] - 1)
    index = positions[..., None].expand(-1, -1, hidden.shape[2])
    return at_least_float32(hidden.gather(1, index)).mean(dim=1)
