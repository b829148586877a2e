"""Which bases a masked model must guess, and what it sees in their place."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genolm.data.randomness import EVALUATION, MASKING, Words, random_words, sample_keys
from genolm.tokenization.vocabulary import MASK, A, N, T

IGNORED: Final = -100
"""Label of a position that does not count (torch's cross entropy leaves it out)."""

_LOW_24: Final = np.uint64(2**24 - 1)
_AT_ONCE: Final = 1 << 16


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


def is_base(ids: NDArray[np.uint8], *, with_n: bool = False) -> NDArray[np.bool_]:
    """Return True where a token is A, C, G or T, or also N (any shape)."""
    last = N if with_n else T
    return (ids - np.uint8(A)) <= np.uint8(last - A)  # what is below A wraps round to the top


def _label(ids: NDArray[np.uint8], targets: NDArray[np.bool_]) -> NDArray[np.int64]:
    labels = np.full(ids.shape, IGNORED, dtype=np.int8).view(np.uint8)
    _put(labels, ids, targets)
    return labels.view(np.int8).astype(np.int64)


def mask_tokens(
    ids: NDArray[np.uint8], words: Words, masking: Masking, *, with_n: bool = False
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Corrupt a batch for masked-language modelling.

    Args:
        ids: Token ids (batch, length).
        words: Random words (batch, length), one for each position.
        masking: The rates.
        with_n: Let N be a target as any base; what is shown in its place is still a base.

    Returns:
        Inputs (batch, length), uint8, and labels (batch, length), int64, -100 off target.
    """
    # Three draws of one word: the top 32 bits choose targets, 24 the action, the lowest 2 a base.
    targets = _choose(words, masking)
    targets &= is_base(ids, with_n=with_n)
    action = words.astype(np.uint32)
    inputs = ids.copy()
    if masking.random_fraction:
        base = action.astype(np.uint8)
        base &= np.uint8(3)
        base += np.uint8(A)
        changed = _below(action, masking.mask_fraction + masking.random_fraction)
        _put(inputs, base, changed & targets)
    _put(inputs, np.uint8(MASK), _below(action, masking.mask_fraction) & targets)
    return inputs, _label(ids, targets)


def _below(action: NDArray[np.uint32], share: float) -> NDArray[np.bool_]:
    """Return True for a share of the draws (any shape), told from their top 24 bits."""
    limit = round(share * 2**24)
    if limit == 2**24:
        return np.ones(action.shape, dtype=np.bool_)
    return action < np.uint32(limit << 8)


def _put(
    ids: NDArray[np.uint8], others: NDArray[np.uint8] | np.uint8, chosen: NDArray[np.bool_]
) -> None:
    """Put others in the place of chosen ids (any shape): several times faster than np.where."""
    change = ids ^ others
    change &= np.negative(chosen.view(np.uint8))  # all bits, or none
    ids ^= change


def _choose(words: Words, masking: Masking) -> NDArray[np.bool_]:
    """Return the positions (batch, length) that would be targets if they were all bases."""
    limit = round(masking.rate * 2**32)
    if limit == 2**32:
        return np.ones(words.shape, dtype=np.bool_)
    chosen: NDArray[np.bool_] = words < np.uint64(limit << 32)
    if masking.span == 1:
        return chosen
    places = np.arange(words.shape[1], dtype=np.uint64)
    # The bits between those of the actions and of the bases shift where spans begin.
    offset = (words[:, :1] >> np.uint64(2)) % np.uint64(64) % np.uint64(masking.span)
    spans = ((places + offset) // np.uint64(masking.span)).astype(np.int64)
    return np.take_along_axis(chosen, spans, axis=1)


def training_words(
    seed: int, epochs: NDArray[np.int64], samples: NDArray[np.int64], length: int
) -> Words:
    """Return the random words (batch, length) that mask these samples in these epochs (batch,)."""
    return random_words(sample_keys(seed, MASKING, epochs, samples), length)


def mask_samples(
    ids: NDArray[np.uint8],
    seed: int,
    epochs: NDArray[np.int64],
    samples: NDArray[np.int64],
    masking: Masking,
    *,
    with_n: bool = False,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Corrupt a batch as its samples are corrupted in these epochs.

    Args:
        ids: Token ids (batch, length).
        seed: The run's.
        epochs: Epoch of each sample (batch,).
        samples: Number of each sample within its epoch (batch,).
        masking: The rates.
        with_n: Let N be a target.

    Returns:
        Inputs and labels, as :func:`mask_tokens`.
    """
    keys = sample_keys(seed, MASKING, epochs, samples)
    length = ids.shape[1]
    rows = max(1, _AT_ONCE // length)  # so that their words stay in the processor's cache
    parts = []
    for first in range(0, len(ids), rows):
        some = slice(first, first + rows)
        words = random_words(keys[some], length)
        parts.append(mask_tokens(ids[some], words, masking, with_n=with_n))
    if len(parts) == 1:
        return parts[0]
    inputs, labels = zip(*parts, strict=True)
    return np.concatenate(inputs), np.concatenate(labels)


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


def next_base_labels(ids: NDArray[np.uint8], *, with_n: bool = False) -> NDArray[np.int64]:
    """Return causal labels (batch, length): the inputs, -100 where they are not A, C, G or T.

    The model shifts them by one: position i predicts label i + 1. ``with_n`` lets N be a target.
    """
    return _label(ids, is_base(ids, with_n=with_n))
