"""Random numbers that are a function of (seed, epoch, sample), and of nothing else.

A counter hash instead of a generator with a state: word j of a sample is ``mix(key + (j + 1) g)``,
the SplitMix64 stream of Steele, Lea and Flood (2014, "Fast splittable pseudorandom number
generators", figure 17) that starts at the sample's key. So nothing depends on who drew before, and
the numbers do not change with the version of a library.
"""

from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

_GAMMA: Final = np.uint64(0x9E3779B97F4A7C15)
_FACTOR_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_FACTOR_2: Final = np.uint64(0x94D049BB133111EB)
_27: Final = np.uint64(27)
_30: Final = np.uint64(30)
_31: Final = np.uint64(31)

# What a draw is for; the streams of one sample are unrelated.
ORDER: Final = 1
STRAND: Final = 2
SHIFT: Final = 3
MASKING: Final = 4
EVALUATION: Final = 5
BACKGROUND: Final = 6
GENOME: Final = 7


def _mix(words: Words) -> Words:
    """Mix words (any shape) in place, and return them."""
    shifted = words >> _30
    words ^= shifted
    words *= _FACTOR_1
    np.right_shift(words, _27, out=shifted)
    words ^= shifted
    words *= _FACTOR_2
    np.right_shift(words, _31, out=shifted)
    words ^= shifted
    return words


def sample_keys(seed: int, stream: int, epochs: Any, samples: Any) -> Words:
    """Return one key for each sample.

    Args:
        seed: The run's seed, any integer.
        stream: What the numbers are for, one of this module's constants.
        epochs: Epoch of each sample (batch,) or one number, at least 0.
        samples: Number of each sample within its epoch (batch,), at least 0.

    Returns:
        Keys (batch,).
    """
    key = _stream_key(seed, stream)
    for part in (epochs, samples):
        key = _mix((key ^ np.asarray(part).astype(np.uint64)) + _GAMMA)
    return key


@lru_cache(maxsize=64)
def _stream_key(seed: int, stream: int) -> Words:
    key = np.array([seed % 2**64], dtype=np.uint64)
    return _mix((key ^ np.uint64(stream)) + _GAMMA)


def genome_seed(seed: int, number: int) -> int:
    """Return the seed of one of several genomes; the first has the run's own."""
    return seed if number == 0 else int(sample_keys(seed, GENOME, 0, number)[0])


def random_words(keys: Words, count: int) -> Words:
    """Return ``count`` words of 64 independent bits for each key.

    Args:
        keys: Keys (batch,).
        count: Words of each.

    Returns:
        Words (batch, count).
    """
    steps = np.arange(1, count + 1, dtype=np.uint64) * _GAMMA
    return _mix(keys[:, None] + steps)


def permutation(seed: int, epoch: int, size: int) -> NDArray[np.int64]:
    """Return the order (size,) in which an epoch visits its windows."""
    words = random_words(sample_keys(seed, ORDER, epoch, np.zeros(1)), size)[0]
    return np.argsort(words, kind="stable")


def coin_flips(seed: int, epochs: Any, samples: Any) -> NDArray[np.bool_]:
    """Return heads or tails, one each, for each sample (batch,): is it shown reversed?"""
    return random_words(sample_keys(seed, STRAND, epochs, samples), 1)[:, 0] >= np.uint64(2**63)


def shifts(seed: int, epochs: Any, samples: Any, limit: int) -> NDArray[np.int64]:
    """Return a uniform whole number from ``-limit`` to ``limit`` for each sample (batch,)."""
    words = random_words(sample_keys(seed, SHIFT, epochs, samples), 1)[:, 0]
    # 32 bits times the range, then the top half: no bias beyond range / 2 ** 32.
    scaled = (words >> np.uint64(32)) * np.uint64(2 * limit + 1) >> np.uint64(32)
    return scaled.astype(np.int64) - limit
