"""What the ``search`` section of a fine-tuning recipe may say, and what can be searched."""

import math
from dataclasses import dataclass
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from genolm.training.recipe_types import Count, Section, Whole, told_as

Scalar = bool | int | float | str | None

SCALES: Final = ("linear", "log")
OPEN: Final = ("model.", "train.", "data.length")
"""Keys that can be searched begin so."""

FIXED: Final = ("model.path", "train.seed", "train.early_stopping_metric", "train.max_minutes")
"""Keys that would change what a trial is judged by, or with how much of the machine."""


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included.

    Attributes:
        low: The least; whole numbers where both ends are written as such.
        high: The greatest.
        log: Whether equal ratios are equally likely, not equal differences.
    """

    low: int | float
    high: int | float
    log: bool


@dataclass(frozen=True)
class Choices:
    """One of some values."""

    values: tuple[Scalar, ...]


Dimension = Range | Choices


class SearchSection(Section):
    """A search for values of other keys, by the held-out part."""

    space: dict[str, Annotated[tuple[Scalar, ...], told_as("a list of values")]] = Field(
        description="dotted keys, each with [low, high, log], [low, high, linear] or values to "
        "choose from: {train.learning_rate: [1e-4, 1e-2, log], train.rc: [none, augment]}"
    )
    trials: Count = Field(default=20, description="trainings, each of other values")
    prune: bool = Field(
        default=False,
        description="end a trial early that is worse than half of those before it at its epoch",
    )
    seed: Whole = Field(default=1, description="of the values that are tried")

    @model_validator(mode="after")
    def _space_can_be_searched(self) -> Self:
        if not self.space:
            raise ValueError("space: name a key, as train.learning_rate: [1e-4, 1e-2, log]")
        for key, said in self.space.items():
            if not key.startswith(OPEN) or key in FIXED:
                raise ValueError(
                    f"space.{key}: only keys of model and train, and data.length, can be searched"
                    f" (and none of {', '.join(FIXED)})"
                )
            read_dimension(key, said)
        return self

    def dimensions(self) -> dict[str, Dimension]:
        """Return what each key may be."""
        return {key: read_dimension(key, said) for key, said in self.space.items()}


def read_dimension(key: str, said: tuple[Scalar, ...]) -> Dimension:
    """Return what a list of the space means.

    Raises:
        ValueError: A range that is none, or fewer than two values.
    """
    if len(said) != 3 or said[2] not in SCALES:
        if len(said) < 2 or len(set(map(repr, said))) < len(said):
            raise ValueError(f"space.{key}: {list(said)}: two different values at least")
        return Choices(said)
    low, high = (_number(key, value) for value in said[:2])
    log = said[2] == "log"
    if not low < high or (log and low <= 0):
        least = "above 0, " if log else ""
        raise ValueError(f"space.{key}: {list(said)}: low must be {least}below high")
    return Range(low, high, log)


def _number(key: str, value: Scalar) -> int | float:
    """Read a number; PyYAML leaves ``1e-3`` as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"space.{key}: {value!r} is no number")
    try:
        number = value if isinstance(value, int) else float(value)
    except ValueError:
        raise ValueError(f"space.{key}: {value!r} is no number") from None
    if not math.isfinite(number):
        raise ValueError(f"space.{key}: {value!r} is no end of a range")
    return number
