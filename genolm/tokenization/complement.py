"""Reverse complement of token ids."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from genolm.tokenization.vocabulary import VOCAB_SIZE, A, C, G, T

_PARTNER: Final = {A: T, C: G, G: C, T: A}


def complement_map(size: int = 16) -> tuple[int, ...]:
    """Return the complement of every token id: A and T, C and G change places, the rest stay.

    Args:
        size: Rows of the embedding, padding rows included; they are their own complement.

    Raises:
        ValueError: ``size`` is smaller than the vocabulary.
    """
    if size < VOCAB_SIZE:
        raise ValueError(f"size {size} is smaller than the vocabulary ({VOCAB_SIZE})")
    return tuple(_PARTNER.get(token, token) for token in range(size))


COMPLEMENT_IDS: Final = complement_map(VOCAB_SIZE)
_TABLE: Final = np.array(complement_map(256), dtype=np.uint8)


def reverse_complement_ids(ids: NDArray[Any]) -> NDArray[Any]:
    """Return the reverse complement along the last axis.

    Args:
        ids: Token ids (..., length), any integer dtype, values 0 to 255.

    Returns:
        A new array of the same shape and dtype.
    """
    flipped: NDArray[Any] = _TABLE[ids[..., ::-1]].astype(ids.dtype, copy=False)
    return flipped
