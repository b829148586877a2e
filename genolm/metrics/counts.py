"""What counting alone can predict: the baselines that every language model stands beside.

Both models interpolate between context lengths with a Dirichlet prior centred on the next shorter
context (MacKay and Peto 1995, A hierarchical Dirichlet language model, equation 21):

    P_l(x | context) = (n(context, x) + w P_{l-1}(x | shorter context)) / (n(context) + w)

with P_{-1} = 1/4 and n counted on both strands of the training sequences. Causal models compare
with ``markov_bits`` (context on the left), masked models with ``two_sided_bits`` (context on both
sides): a masked model sees both neighbours, so a one-sided baseline would flatter it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genolm.metrics.words import Mask, Table, count_words

PRIOR_WEIGHT = 45.0
"""Pseudo-observations given to the shorter context. Up to order 7 (k 3) any value from 4 to 128
gives the same bits within 0.001 on a yeast-sized genome; it matters where contexts are rare."""

LONGEST_WORD = 12
"""Longest word counted, 4 ** 12 entries: order 11 on one side, 5 neighbours on both sides."""

Arrays = Iterable[NDArray[Any]]


def markov_bits(
    train: Arrays,
    test: Arrays,
    orders: Sequence[int] = (0, 3, 5, 7),
    *,
    targets: Iterable[Mask] | None = None,
    prior_weight: float = PRIOR_WEIGHT,
) -> dict[str, float]:
    """Score ``test`` with Markov models of the given orders learned from ``train``.

    A base with fewer than ``order`` known bases before it is predicted from those it has, so that
    every A, C, G and T counts. A 70 Mb train part takes seconds; order 11 needs about 1 GB.

    Args:
        train: Token ids, one array (length,) a contig; 7..10 are A, C, G, T, anything else breaks
            the context. Memory-mapped arrays are read in pieces.
        test: Token ids (length,) of the held-out contigs or windows.
        orders: Context lengths, 0..11.
        targets: The test positions that count, a bool array (length,) for each of ``test``; None
            for all.
        prior_weight: Weight w of the shorter context, in observations.

    Returns:
        ``{"order_0": bits per base, ...}``.

    Raises:
        ValueError: When an order is out of range or no base is left to score.
    """
    bits = _bits_by_level(train, test, orders, targets, prior_weight, two_sided=False)
    return {f"order_{order}": bits[order] for order in orders}


def two_sided_bits(
    train: Arrays,
    test: Arrays,
    ks: Sequence[int] = (2, 3, 4),
    *,
    targets: Iterable[Mask] | None = None,
    prior_weight: float = PRIOR_WEIGHT,
) -> dict[str, float]:
    """Score ``test`` with P(base | k left, k right) learned from ``train``.

    The fair baseline of masked models. Beside a break, the widest symmetric context that is known
    is used. The neighbours are always the true ones, also where a masked model had several masks.

    Args:
        train: Token ids, one array (length,) a contig, as for :func:`markov_bits`.
        test: Token ids (length,) of the held-out contigs or windows.
        ks: Neighbours on each side, 0..5.
        targets: The test positions that count (those a masked model predicted), a bool array
            (length,) for each of ``test``; None for all.
        prior_weight: Weight w of the narrower context, in observations.

    Returns:
        ``{"two_sided_2": bits per base, ...}``.

    Raises:
        ValueError: When a k is out of range or no base is left to score.
    """
    bits = _bits_by_level(train, test, ks, targets, prior_weight, two_sided=True)
    return {f"two_sided_{k}": bits[k] for k in ks}


def _bits_by_level(
    train: Arrays,
    test: Arrays,
    levels: Sequence[int],
    targets: Iterable[Mask] | None,
    prior_weight: float,
    *,
    two_sided: bool,
) -> list[float]:
    """Bits per base at every level from 0 to the highest of ``levels``."""
    top = _highest(levels, (LONGEST_WORD - 1) // (2 if two_sided else 1))
    if prior_weight <= 0:
        raise ValueError(f"prior_weight {prior_weight} must be above 0")
    # The test part is counted first: a wrong mask is found before the long count begins.
    tested = count_words(test, targets, top, two_sided=two_sided)
    bases = sum(int(table.sum()) for table in tested)
    if bases == 0:
        raise ValueError("the test part holds no A, C, G or T to score")
    learned = count_words(train, None, top, two_sided=two_sided)
    _merge_down(learned, two_sided=two_sided)
    reached = [*(table.copy() for table in tested[:-1]), tested[-1]]
    _merge_down(reached, two_sided=two_sided)
    bits, short_of_context = [], 0.0
    levels_up = _probabilities(learned, prior_weight, two_sided=two_sided)
    for level, probabilities in enumerate(levels_up):
        cost = -np.log2(probabilities)
        bits.append((float(reached[level] @ cost) + short_of_context) / bases)
        short_of_context += float(tested[level] @ cost)
    return bits


def learn_markov(
    train: Arrays, order: int, *, prior_weight: float = PRIOR_WEIGHT
) -> NDArray[np.float64]:
    """Learn P(base | the ``order`` bases before it), counted on both strands.

    Args:
        train: Token ids, one array (length,) a contig, as for :func:`markov_bits`.
        order: Context length, 0..11.
        prior_weight: Weight w of the shorter context, in observations.

    Returns:
        Natural-log probabilities (4 ** (order + 1),) of the last base of every word, words
        numbered in base 4 with A, C, G, T = 0..3 and the leftmost base most significant.
    """
    learned = count_words(train, None, _highest([order], LONGEST_WORD - 1), two_sided=False)
    _merge_down(learned, two_sided=False)
    *_, probabilities = _probabilities(learned, prior_weight, two_sided=False)
    return np.log(probabilities)


def _probabilities(
    learned: list[Table], prior_weight: float, *, two_sided: bool
) -> Iterator[NDArray[np.float64]]:
    """Yield P_l for each level, emptying ``learned`` on the way."""
    probabilities = np.full(1, 0.25)
    for level in range(len(learned)):
        # An order-11 table is 134 MB: each is let go as soon as it is used.
        counts = learned.pop(0)
        counts = counts + reverse_complement_counts(counts)
        probabilities = _interpolate(counts, probabilities, prior_weight, level, two_sided)
        yield probabilities


def _highest(levels: Sequence[int], ceiling: int) -> int:
    """The highest level asked for, once all are known to be in range."""
    wrong = [level for level in levels if not 0 <= level <= ceiling]
    if wrong or not levels:
        raise ValueError(f"context lengths {list(levels)} must lie between 0 and {ceiling}")
    return max(levels)


def _merge_down(tables: list[Table], *, two_sided: bool) -> None:
    """Turn counts at the highest level a base reached into counts of every base at each level."""
    for level in range(len(tables) - 1, 0, -1):
        outer = tables[level].reshape(4, -1, 4 if two_sided else 1)
        tables[level - 1] += outer.sum(axis=(0, 2))


def reverse_complement_counts(table: Table) -> Table:
    """Counts (4 ** width,) of the same words as read on the other strand."""
    width = (len(table).bit_length() - 1) // 2
    # With A, C, G, T = 0..3 the complement is 3 - x, so complementing every letter reverses
    # the table, and reversing the word transposes its axes.
    return table.reshape((4,) * width).transpose().reshape(-1)[::-1]


def _interpolate(
    counts: Table,
    shorter: NDArray[np.float64],
    prior_weight: float,
    level: int,
    two_sided: bool,
) -> NDArray[np.float64]:
    """P_l (4 ** width,) from its counts and P_{l-1} (4 ** (width - 1 or 2),), axis 2 the base."""
    inner = 4 ** max(level - 1, 0)
    edge = 4 if level else 1
    right = (inner, edge) if two_sided else (1, 1)
    seen = counts.reshape(edge, inner, 4, *right)
    prior = prior_weight * shorter.reshape(1, inner, -1, right[0], 1)
    posterior: NDArray[np.float64] = seen + prior
    posterior /= seen.sum(axis=2, keepdims=True) + prior_weight
    return posterior.reshape(-1)
