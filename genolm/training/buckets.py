"""Batches of rows of similar lengths, so that little is computed for padding.

Where padding is left out (``mask_padding``), rows of one length go through the model together and
each length costs a pass of its own; in a causal model, rows of similar lengths are one pass, cut to
the longest. Rows are sorted within stretches of the epoch's random order, not over all of it:
batches stay mixtures of what a stretch holds.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from genolm.data.labelled_set import LabelledSet
from genolm.data.randomness import permutation
from genolm.training.parts import Part

STRETCH: Final = 50
"""Batches that are sorted together."""


def row_lengths(part: Part, most: int) -> NDArray[np.int64]:
    """Return how many bases of each row are shown (rows,), at most ``most``; of sequences only."""
    assert isinstance(part.rows, LabelledSet)
    bases = [len(sequence) for sequence in part.rows.sequences]
    return np.minimum(np.array(bases, dtype=np.int64), most)


def bucketed(
    order: NDArray[np.int64], lengths: NDArray[np.int64], batch_size: int, seed: int
) -> NDArray[np.int64]:
    """Return the rows of an epoch so that those of a batch have similar lengths.

    A function of its arguments alone; batches come in random order.

    Args:
        order: Rows in random order (rows,), a multiple of ``batch_size``.
        lengths: Length of every row of the part.
        batch_size: Rows of a batch.
        seed: Of the order of the batches.
    """
    stretch = STRETCH * batch_size
    pieces = [order[first : first + stretch] for first in range(0, len(order), stretch)]
    ordered = np.concatenate([one[np.argsort(lengths[one], kind="stable")] for one in pieces])
    batches = ordered.reshape(-1, batch_size)
    # The first row of the epoch's own order stands for the epoch.
    return batches[permutation(seed, int(order[0]), len(batches))].reshape(-1)
