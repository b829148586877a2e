"""What rows are judged among: values of a column, or ranges of a number."""

import itertools
from collections.abc import Sequence

import numpy as np

from genolm.errors import InputError


def name_strata(
    values: Sequence[str], edges: Sequence[float] | None, places: Sequence[str]
) -> list[str]:
    """Return the stratum of every row.

    Args:
        values: What the column says (rows,).
        edges: Ascending; None where every value is a stratum. A number belongs to the range that
            begins with it: with edges 10 and 20 to ``<10``, ``10-20`` or ``>=20``.
        places: ``file:line`` of every row, for messages.

    Raises:
        InputError: A value is not a number, and a range is wanted.
    """
    if edges is None:
        return list(values)
    bounds = [f"{edge:g}" for edge in edges]
    inner = [f"{low}-{high}" for low, high in itertools.pairwise(bounds)]
    names = [f"<{bounds[0]}", *inner, f">={bounds[-1]}"]
    numbers = [_number(value, place) for value, place in zip(values, places, strict=True)]
    return [names[at] for at in np.searchsorted(np.array(edges), np.array(numbers), side="right")]


def _number(value: str, place: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not np.isfinite(number):
        raise InputError(f"{place}: stratum {value!r} is not a number, as data.stratum_edges needs")
    return number
