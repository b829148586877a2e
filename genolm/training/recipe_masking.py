"""The masking section of a pretraining recipe, and what it means when it is left out."""

from typing import Self

from pydantic import Field, model_validator

from genolm.training.recipe_types import Count, Fraction, Section, Share

SMALL_BUDGET = 100_000_000
"""Bases shown in a run; a masked model that sees fewer learns more from more, plainer targets."""
SMALL = (0.3, 1.0, 0.0)
LARGE = (0.15, 0.8, 0.1)
"""Share of targets, and of those the shares shown as [MASK] and as a random base."""


class MaskingSection(Section):
    """How masked-LM inputs are corrupted while training (evaluation is fixed: one [MASK] in 32).

    With none of the three shares given, runs of fewer than ``SMALL_BUDGET`` bases hide 30 % of
    them, all as [MASK], and longer ones 15 %, of which 80 % as [MASK] and 10 % as a random base.
    """

    rate: Share | None = Field(
        default=None,
        description="share of positions that are targets; null = .15, or .3 where none of the "
        "three shares is given and the run shows fewer than 100 million bases",
    )
    mask_fraction: Fraction | None = Field(
        default=None, description="share of targets shown as [MASK]; null = .8, or 1 likewise"
    )
    random_fraction: Fraction | None = Field(
        default=None,
        description="share of targets shown as a random base; null = .1, or 0 likewise",
    )
    span: Count = Field(default=1, description="bases that are hidden together")

    @model_validator(mode="after")
    def _leaves_a_share(self) -> Self:
        _, masked, random = self._shares(LARGE)
        if masked + random > 1 + 1e-9:
            raise ValueError("mask_fraction and random_fraction together exceed 1")
        return self

    def complete(self, bases: int) -> "MaskingSection":
        """Return the section with nothing left open, for a run that shows this many bases."""
        given = (self.rate, self.mask_fraction, self.random_fraction)
        small = given == (None, None, None) and bases < SMALL_BUDGET
        rate, masked, random = self._shares(SMALL if small else LARGE)
        values = {"rate": rate, "mask_fraction": masked, "random_fraction": random}
        return self.model_copy(update=values)

    def _shares(self, usual: tuple[float, float, float]) -> tuple[float, float, float]:
        given = (self.rate, self.mask_fraction, self.random_fraction)
        rate, masked, random = (
            default if value is None else value for value, default in zip(given, usual, strict=True)
        )
        return rate, masked, random
