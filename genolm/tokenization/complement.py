"""Reverse complement of token ids."""

from typing import Any, Final

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


def reverse_complement_ids(ids: NDArray[Any]) -> NDArray[Any]:
    """Return the reverse complement along the last axis.

    Args:
        ids: Token ids (..., length), any integer dtype, values 0 to 255.

    Returns:
        A new array of the same shape and dtype.
    """
    flipped = ids[..., ::-1].copy()
    # Partners sum up to A + T; whole-array arithmetic is several times faster than a table.
    is_base = ((flipped >= A) & (flipped <= T)).astype(flipped.dtype)
    flipped += is_base * (flipped.dtype.type(A + T) - flipped - flipped)
    return flipped
