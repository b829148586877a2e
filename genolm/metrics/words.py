"""Count the words of a genome: every base together with the bases beside it.

A word of level ``l`` is a base with its ``l`` neighbours on the left (one-sided) or on both sides
(two-sided), written as one number in base 4 with A, C, G, T = 0, 1, 2, 3 and the leftmost base
most significant. Anything that is not A, C, G or T breaks the context, as the end of an array does.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Table = NDArray[np.int64]

FIRST_BASE_ID = 7
"""Token id of A; C, G and T follow."""

CHUNK = 1 << 22
"""Positions counted at a time: some 150 MB of temporary arrays, whatever the genome's size."""


def count_words(
    arrays: Iterable[NDArray[Any]],
    targets: Iterable[Mask] | None,
    level: int,
    *,
    two_sided: bool,
) -> list[Table]:
    """Count each base once, at the highest level (up to ``level``) that its context allows.

    Args:
        arrays: Token ids, one array (length,) a contig or window; 7..10 are A, C, G, T.
        targets: Which positions to count, a bool array (length,) for each of ``arrays``; None for
            all of them. What is not counted still serves as context.
        level: Number of neighbours wanted on each counted side.
        two_sided: Neighbours on both sides; otherwise on the left only.

    Returns:
        For each level 0..``level`` the counts (4 ** width,), width = level + 1 or 2 level + 1.

    Raises:
        ValueError: When arrays and targets differ in number or length.
    """
    sides = 2 if two_sided else 1
    tables = [np.zeros(4 ** (sides * at + 1), dtype=np.int64) for at in range(level + 1)]
    for ids, counted in _batches(_pieces(arrays, targets, margin=level)):
        _count_batch(ids, counted, tables, two_sided=two_sided)
    return tables


def _pieces(
    arrays: Iterable[NDArray[Any]], targets: Iterable[Mask] | None, *, margin: int
) -> Iterator[tuple[Ids, Mask]]:
    """Cut long arrays, repeating ``margin`` uncounted neighbours on both sides of a cut."""
    for array, target in _pairs(arrays, targets):
        for start in range(0, len(array), CHUNK):
            stop = min(start + CHUNK, len(array))
            low, high = max(0, start - margin), min(len(array), stop + margin)
            counted = np.zeros(high - low, dtype=np.bool_)
            counted[start - low : stop - low] = True if target is None else target[start:stop]
            yield np.asarray(array[low:high]).astype(np.uint8, copy=False), counted


def _pairs(
    arrays: Iterable[NDArray[Any]], targets: Iterable[Mask] | None
) -> Iterator[tuple[NDArray[Any], Mask | None]]:
    """Pair every array with its target mask, refusing pairs that do not fit."""
    if targets is None:
        yield from ((array, None) for array in arrays)
        return
    for array, target in zip(arrays, targets, strict=True):
        if np.shape(array) != np.shape(target):
            raise ValueError(
                f"targets of shape {np.shape(target)} for a sequence of shape {np.shape(array)}"
            )
        yield array, np.asarray(target, dtype=np.bool_)


def _batches(pieces: Iterator[tuple[Ids, Mask]]) -> Iterator[tuple[Ids, Mask]]:
    """Join short pieces, with a break after each, so that thousands of windows count fast."""
    held: list[tuple[Ids, Mask]] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece[0])
        if size >= CHUNK:
            yield _join(held)
            held, size = [], 0
    if held:
        yield _join(held)


def _join(pieces: list[tuple[Ids, Mask]]) -> tuple[Ids, Mask]:
    """Concatenate pieces with one breaking, uncounted position after each."""
    ids = [part for piece in pieces for part in (piece[0], np.zeros(1, dtype=np.uint8))]
    counted = [part for piece in pieces for part in (piece[1], np.zeros(1, dtype=np.bool_))]
    return np.concatenate(ids), np.concatenate(counted)


def _count_batch(ids: Ids, counted: Mask, tables: list[Table], *, two_sided: bool) -> None:
    """Add the words of one batch to ``tables``, each base to one table only."""
    top = len(tables) - 1
    bases = ids.astype(np.int32) - FIRST_BASE_ID
    known = (bases >= 0) & (bases < 4)
    bases[~known] = 0
    reached = _run_lengths(known)
    if two_sided:
        np.minimum(reached, _run_lengths(known[::-1])[::-1], out=reached)
    reached = np.minimum(reached - 1, top)
    codes = _ending_codes(bases, width=(2 if two_sided else 1) * top + 1)
    positions = np.flatnonzero(known & counted)
    levels = reached[positions]
    for level, table in enumerate(tables):
        centres = positions[levels == level]
        words = codes[centres + level] if two_sided else codes[centres]
        table += np.bincount(words & (len(table) - 1), minlength=len(table))


def _run_lengths(known: Mask) -> NDArray[np.int32]:
    """Number of consecutive known bases ending at each position, that position included."""
    index = np.arange(len(known), dtype=np.int32)
    last_break = np.maximum.accumulate(np.where(known, np.int32(-1), index))
    return index - last_break


def _ending_codes(bases: NDArray[np.int32], *, width: int) -> NDArray[np.int32]:
    """Code of the ``width`` bases that end at each position (earlier ones count as A)."""
    codes = bases.copy()
    for back in range(1, min(width, len(bases))):
        codes[back:] += bases[:-back] << (2 * back)
    return codes
