"""What counting alone says of a variant: the baseline of every variant score."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genolm.metrics.words import FIRST_BASE_ID


def markov_log_ratios(
    log_probabilities: NDArray[np.float64], windows: NDArray[Any], alts: NDArray[Any]
) -> NDArray[np.float64]:
    """Score substitutions by the log-likelihood ratio of a Markov model, ALT against REF.

    Only the words that hold the changed base differ between the two sequences, so a window of
    ``order`` bases on either side is all that counts. Both strands are averaged.

    Args:
        log_probabilities: Of a model of some order, (4 ** (order + 1),), from
            :func:`genolm.metrics.counts.learn_markov`.
        windows: Token ids (variants, 2 order + 1) of the reference around each variant.
        alts: Token ids (variants,) of the ALT bases, which replace the middle of the windows.

    Returns:
        Natural-log ratios (variants,), negative where ALT is less likely; nan where a window
        holds anything but A, C, G and T.

    Raises:
        ValueError: When the windows do not have the width of the model's order.
    """
    order = (len(log_probabilities).bit_length() - 1) // 2 - 1
    if windows.ndim != 2 or windows.shape[1] != 2 * order + 1:
        raise ValueError(
            f"windows {windows.shape} must be (variants, {2 * order + 1}) for order {order}"
        )
    ref = windows.astype(np.int64) - FIRST_BASE_ID
    alt = ref.copy()
    alt[:, order] = alts.astype(np.int64) - FIRST_BASE_ID
    known = np.all((ref >= 0) & (ref < 4) & (alt >= 0) & (alt < 4), axis=1)
    ref, alt = (np.where(known[:, None], bases, 0) for bases in (ref, alt))
    forward = _likelihood(log_probabilities, alt, order) - _likelihood(
        log_probabilities, ref, order
    )
    # A, C, G, T = 0..3, so 3 - x is the complement.
    backward = _likelihood(log_probabilities, 3 - alt[:, ::-1], order) - _likelihood(
        log_probabilities, 3 - ref[:, ::-1], order
    )
    return np.where(known, (forward + backward) / 2, np.nan)


def _likelihood(
    log_probabilities: NDArray[np.float64], bases: NDArray[np.int64], order: int
) -> NDArray[np.float64]:
    """Sum the log-probabilities of the bases that have ``order`` bases before them."""
    words = np.zeros((len(bases), order + 1), dtype=np.int64)
    for back in range(order + 1):
        words += bases[:, order - back : 2 * order + 1 - back] << (2 * back)
    total: NDArray[np.float64] = log_probabilities[words].sum(axis=1)
    return total
