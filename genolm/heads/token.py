"""Hidden states to a score for every position, whichever strand is read."""

import torch
from torch import Tensor

from genolm.modules.linear import Linear, exact_linear
from genolm.modules.precision import at_least_float32


def score_positions(hidden: Tensor, score: Linear) -> Tensor:
    """Score every position.

    Args:
        hidden: Hidden states (batch, length, d_model); or the stream of an equivariant model
            (batch, length, 2 d_model), whose second half holds the opposite strand at the same
            position with its channels flipped. The scores of the two strands are averaged.
        score: Layer d_model to num_labels without bias.

    Returns:
        Scores (batch, length, num_labels), float32 at least.
    """
    if hidden.shape[-1] == score.in_features:
        return at_least_float32(score(hidden))
    # Flipping the small weight instead of the long stream makes this one matrix product.
    both = torch.cat([score.weight, score.weight.flip(1)], dim=1) / 2
    return at_least_float32(exact_linear(hidden, both))


def average_strands(scores: Tensor, real: Tensor) -> Tensor:
    """Average the scores of a sequence and of its reverse complement, base by base.

    Args:
        scores: Scores of both strands (2 batch, length, num_labels), forward first, each in its
            own reading direction.
        real: Positions that are no padding (2 batch, length), a single stretch in each row. The
            strands may be padded on different sides.

    Returns:
        Scores (batch, length, num_labels) at the places of the forward strand; its padding keeps
        its own scores.

    Raises:
        ValueError: If the two strands are not equally long.
    """
    forward, backward = scores.chunk(2)
    count, opposite_count = real.sum(dim=1).chunk(2)
    if not count.equal(opposite_count):
        row = int((count != opposite_count).int().argmax())
        raise ValueError(
            f"the strands of row {row} have {int(count[row])} and {int(opposite_count[row])} "
            "tokens: the second must be the reverse complement of the first"
        )
    start, opposite_start = real.int().argmax(dim=1).chunk(2)
    position = torch.arange(scores.shape[1], device=scores.device)
    # The first real token of one strand stands opposite to the last one of the other.
    opposite = (start + opposite_start + count)[:, None] - 1 - position
    inside = real.chunk(2)[0]
    index = torch.where(inside, opposite, position)[..., None].expand_as(forward)
    mean = (forward + backward.gather(1, index)) / 2
    return torch.where(inside[..., None], mean, forward)
