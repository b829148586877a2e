"""Sequences of one set that are nearly those of another: shifted, mutated, or on the other strand.

Two sequences are similar when the shorter one shares a given part of its distinct k-mers, each
counted as the smaller of it and its reverse complement, with the other. Candidates are found by the
k-mers whose hash falls into a fixed fraction of all hashes (FracMinHash, Irber et al. 2022), and
then compared on all of them.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genolm.tokenization.encode import encode
from genolm.tokenization.vocabulary import A, T

K: Final = 16
KEPT_ONE_IN: Final = 4
MOST_HOLDERS: Final = 200
"""A k-mer that more sequences hold (a repeat) says nothing about which of them is similar."""

Hashes = NDArray[np.uint64]


def canonical_kmers(sequence: str, k: int = K) -> Hashes:
    """Return the hashed distinct k-mers of a sequence on either strand, sorted.

    Args:
        sequence: Bases in either case; a k-mer with anything but A, C, G, T (or U) is left out.
        k: Their length, 32 at most.
    """
    ids = encode(sequence).ids
    count = len(ids) - k + 1
    if count < 1:
        return np.zeros(0, dtype=np.uint64)
    known = (ids >= A) & (ids <= T)
    letters = np.where(known, ids - A, 0).astype(np.uint64)
    forward = np.zeros(count, dtype=np.uint64)
    backward = np.zeros(count, dtype=np.uint64)
    for place in range(k):
        some = letters[place : place + count]
        forward = (forward << np.uint64(2)) | some
        backward |= (np.uint64(3) - some) << np.uint64(2 * place)
    unknown_before = np.append(0, np.cumsum(~known))
    whole = unknown_before[k:] == unknown_before[:-k]
    found: Hashes = np.unique(_hash(np.minimum(forward, backward)[whole]))
    return found


def _hash(words: Hashes) -> Hashes:
    """Mix the bits of a word (the finaliser of SplitMix64)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def find_similar(
    known: Sequence[str], asked: Sequence[str], *, share: float = 0.8, k: int = K
) -> NDArray[np.int64]:
    """Find for each sequence a similar one of another set.

    Args:
        known: Sequences to look among (n,).
        asked: Sequences to look for (m,).
        share: Part of the shorter one's k-mers that similar sequences share.
        k: Length of the k-mers.

    Returns:
        For each of ``asked`` the number of the known sequence that shares most with it, or -1 where
        none shares enough (m,). Sequences shorter than ``k`` are similar to nothing.
    """
    ours = [canonical_kmers(sequence, k) for sequence in known]
    theirs = [canonical_kmers(sequence, k) for sequence in asked]
    index, holders = _index(ours)
    best = np.full(len(asked), -1, dtype=np.int64)
    for number, kmers in enumerate(theirs):
        candidates = _candidates(kmers, index, holders)
        shares = [_shared(kmers, ours[candidate]) for candidate in candidates]
        if shares and max(shares) >= share:
            best[number] = candidates[int(np.argmax(shares))]
    return best


def _sketch(kmers: Hashes) -> Hashes:
    return kmers[kmers < np.uint64(2**64 // KEPT_ONE_IN)]


def _index(sets: Sequence[Hashes]) -> tuple[Hashes, NDArray[np.int64]]:
    sketches = [_sketch(kmers) for kmers in sets]
    hashes = np.concatenate([np.zeros(0, dtype=np.uint64), *sketches])
    holders = np.repeat(np.arange(len(sets)), [len(sketch) for sketch in sketches])
    order = np.argsort(hashes, kind="stable")
    return hashes[order], holders[order].astype(np.int64)


def _candidates(kmers: Hashes, index: Hashes, holders: NDArray[np.int64]) -> list[int]:
    """The sequences that hold most of a sketch, best first; a handful."""
    sketch = _sketch(kmers)
    first = np.searchsorted(index, sketch, side="left")
    last = np.searchsorted(index, sketch, side="right")
    telling = (last - first) <= MOST_HOLDERS
    found = [holders[a:b] for a, b in zip(first[telling], last[telling], strict=True) if b > a]
    if not found:
        return []
    numbers, counts = np.unique(np.concatenate(found), return_counts=True)
    best: list[int] = numbers[np.argsort(-counts, kind="stable")][:8].tolist()
    return best


def _shared(one: Hashes, other: Hashes) -> float:
    fewer = min(len(one), len(other))
    return len(np.intersect1d(one, other, assume_unique=True)) / fewer if fewer else 0.0
