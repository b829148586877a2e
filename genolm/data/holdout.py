"""Which rows of a train set are held out for validation."""

import math
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
