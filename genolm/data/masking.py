"""Which bases a masked model must guess, and what it sees in their place."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genolm.data.randomness import EVALUATION, MASKING, Words, random_words, sample_keys
from genolm.tokenization.vocabulary import MASK, A, T

IGNORED: Final = -100
"""Label of a position that does not count (torch's cross entropy leaves it out)."""

_LOW_24: Final = np.uint64(2**24 - 1)


@dataclass(frozen=True, slots=True)
class Masking:
    """How inputs are corrupted in training (Devlin et al. 2019, section 3.1; Caduceus's numbers).

    A target is shown as ``[MASK]``, as a random base (A, C, G or T, the true one included) or
    unchanged. Unlike the original Caduceus code, N is never a target and a random token is never
    a special one.

    Attributes:
        rate: Share of the bases that are targets, each on its own.
        mask_fraction: Share of targets shown as ``[MASK]``.
        random_fraction: Share of targets shown as a random base.
        span: Bases that are hidden together; spans begin at every ``span``-th base, counted from a
            random one of the first (64 at most). What is shown in place of a target is drawn
            for each base.
    """

    rate: float = 0.15
    mask_fraction: float = 0.8
    random_fraction: float = 0.1
    span: int = 1

    def __post_init__(self) -> None:
        for name in ("rate", "mask_fraction", "random_fraction"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must be between 0 and 1, got {getattr(self, name)}")
        if self.rate == 0.0:
            raise ValueError("rate 0 leaves nothing to learn from")
        if self.mask_fraction + self.random_fraction > 1.0 + 1e-9:
            raise ValueError("mask_fraction and random_fraction together exceed 1")
        if self.span < 1:
            raise ValueError(f"span must be at least 1, got {self.span}")


@dataclass(frozen=True, slots=True)
class EvaluationMasking:
    """A fixed, sparse mask: one base in ``one_in`` on average, always ``[MASK]``, in every epoch.

    Sparse, because the more of its neighbours are hidden the worse a guess gets, so that bits per
    base are comparable only at one mask rate, and near full context at a low one.
    """

    one_in: int = 32

    def __post_init__(self) -> None:
        if self.one_in < 1:
            raise ValueError(f"one_in must be at least 1, got {self.one_in}")


def is_base(ids: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return True where a token is A, C, G or T (any shape)."""
    return (ids >= A) & (ids <= T)


def _label(ids: NDArray[np.uint8], targets: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.where(targets, ids.astype(np.int64), IGNORED)


def mask_tokens(
    ids: NDArray[np.uint8], words: Words, masking: Masking
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Corrupt a batch for masked-language modelling.

    Args:
        ids: Token ids (batch, length).
        words: Random words (batch, length), one for each position.
        masking: The rates.

    Returns:
        Inputs (batch, length), uint8, and labels (batch, length), int64, -100 off target.
    """
    # Three draws of one word: the top 32 bits choose targets, 24 the action, the lowest 2 a base.
    chosen = _in_spans(words, masking.span) < np.uint64(round(masking.rate * 2**32))
    targets = chosen & is_base(ids)
    action = (words >> np.uint64(8)) & _LOW_24
    as_mask = round(masking.mask_fraction * 2**24)
    as_random = round((masking.mask_fraction + masking.random_fraction) * 2**24)
    inputs = ids.copy()
    masked = targets & (action < np.uint64(as_mask))
    inputs[masked] = MASK
    random = targets & ~masked & (action < np.uint64(as_random))
    inputs[random] = (words[random] & np.uint64(3)).astype(np.uint8) + np.uint8(A)
    return inputs, _label(ids, targets)


def _in_spans(words: Words, span: int) -> Words:
    """The top 32 bits of the word that decides about each position (batch, length)."""
    top = words >> np.uint64(32)
    if span == 1:
        return top
    places = np.arange(words.shape[1], dtype=np.uint64)
    # The bits between those of the actions and of the bases shift where spans begin.
    offset = (words[:, :1] >> np.uint64(2)) % np.uint64(64) % np.uint64(span)
    spans = ((places + offset) // np.uint64(span)).astype(np.int64)
    decided: Words = np.take_along_axis(top, spans, axis=1)
    return decided


def training_words(
    seed: int, epochs: NDArray[np.int64], samples: NDArray[np.int64], length: int
) -> Words:
    """Return the random words (batch, length) that mask these samples in these epochs (batch,)."""
    return random_words(sample_keys(seed, MASKING, epochs, samples), length)


def sparse_evaluation_mask(
    length: int, seed: int, index: int | NDArray[np.int64], one_in: int = 32
) -> NDArray[np.bool_]:
    """Return the positions that an evaluation asks for.

    Args:
        length: Positions of a window.
        seed: The evaluation's seed.
        index: Number of the window, or of several (batch,).
        one_in: Each position is chosen with this chance, on its own.

    Returns:
        True where the base is to be guessed (length,), or (batch, length) for several windows.
    """
    words = random_words(sample_keys(seed, EVALUATION, 0, np.atleast_1d(index)), length)
    chosen = words < np.uint64(2**64 // one_in) if one_in > 1 else np.ones(words.shape, dtype=bool)
    return chosen if np.ndim(index) else chosen[0]


def hide_targets(
    ids: NDArray[np.uint8], chosen: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Show ``[MASK]`` at the chosen bases; N stays as it is and does not count.

    Args:
        ids: Token ids (batch, length).
        chosen: Positions to hide (batch, length).

    Returns:
        Inputs (batch, length), uint8, and labels (batch, length), int64, -100 off target.
    """
    targets = chosen & is_base(ids)
    inputs = ids.copy()
    inputs[targets] = MASK
    return inputs, _label(ids, targets)


def next_base_labels(ids: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return causal labels (batch, length): the inputs, -100 where they are not A, C, G or T.

    The model shifts them by one: position i predicts label i + 1.
    """
    return _label(ids, is_base(ids))
