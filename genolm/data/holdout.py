"""Which rows of a train set are held out for validation."""

import math
from collections import Counter
from collections.abc import Hashable, Sequence

import torch


def split_holdout(
    count: int, fraction: float, seed: int, *, classes: Sequence[Hashable] | None = None
) -> tuple[list[int], list[int]]:
    """Hold out a random part of a train set.

    Without ``classes`` the rows are those of ``torch.utils.data.random_split(data, [fraction,
    1 - fraction])`` under a generator seeded with ``seed``: Caduceus's GenomicBenchmarks protocol,
    so that its splits can be had.

    Args:
        count: Rows of the set.
        fraction: Share to hold out, 0 to 1.
        seed: Of the choice.
        classes: The class of each row (count,), to hold out this share of every class, rounded.

    Returns:
        The rows that stay and the rows held out, each in ascending order.

    Raises:
        ValueError: ``fraction`` is not a share, or ``classes`` has another length.
    """
    if not 0.0 <= fraction <= 1.0:
        raise ValueError(f"fraction must be between 0 and 1, got {fraction}")
    if classes is not None and len(classes) != count:
        raise ValueError(f"{count} rows but {len(classes)} classes")
    order: list[int] = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
    if classes is None:
        # As random_split rounds: both parts down, then the row left over goes to the first.
        held = set(order[: count - math.floor(count * (1.0 - fraction))])
    else:
        groups: dict[Hashable, list[int]] = {}
        for row in order:
            groups.setdefault(classes[row], []).append(row)
        held = {row for rows in groups.values() for row in rows[: round(len(rows) * fraction)]}
    return [row for row in range(count) if row not in held], sorted(held)


def split_groups(groups: Sequence[str], fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Hold out whole groups, so that no row has a relative on the other side.

    Args:
        groups: The group of each row (count,).
        fraction: Share of the rows to hold out: groups are taken in an order drawn by seed until
            there are so many, at least one.
        seed: Of that order.

    Returns:
        The rows that stay and the rows held out, each in ascending order.

    Raises:
        ValueError: There are fewer than two groups.
    """
    names = sorted(set(groups))
    if len(names) < 2:
        raise ValueError(f"{len(names)} group(s) cannot be divided: two or more are needed")
    sizes = Counter(groups)
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed)).tolist()
    held: set[str] = set()
    taken = 0
    for number in order[:-1]:
        if held and taken >= fraction * len(groups):
            break
        held.add(names[number])
        taken += sizes[names[number]]
    rows = range(len(groups))
    return [r for r in rows if groups[r] not in held], [r for r in rows if groups[r] in held]
