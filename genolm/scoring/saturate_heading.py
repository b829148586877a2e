"""What an output of a saturation is about: its scores, where they come from, which one is drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from genolm.errors import UsageError
from genolm.scoring.fields import SCORES, SCREEN, ScoreField, fields_of
from genolm.scoring.saturate import SCORE_NAMES
from genolm.scoring.vcf_output import Provenance

SiteValue = Literal["mean", "min"]
LLR: Final = SCORES["llr"][0]
SCREEN_FIELD: Final = SCORES[SCREEN][0]


@dataclass(frozen=True, slots=True)
class Heading:
    """What an output is about.

    Attributes:
        fields: The score fields.
        provenance: Where the scores come from.
        contigs: Names and lengths, for VCF and BigWig.
        site_value: What a bedGraph or BigWig holds.
    """

    fields: Sequence[ScoreField]
    provenance: Provenance
    contigs: Mapping[str, int]
    site_value: SiteValue = "mean"

    @property
    def drawn(self) -> ScoreField:
        """The one score that bedGraph, BigWig and plots hold."""
        return drawn_field(self.fields)


def drawn_field(fields: Sequence[ScoreField]) -> ScoreField:
    """Return the field that is drawn: the screening score where there is no other, else LLR."""
    ratios = any(one.name.startswith(LLR.name) for one in fields)
    return SCREEN_FIELD if SCREEN_FIELD in fields and not ratios else LLR


def saturation_fields(scores: Sequence[str]) -> tuple[ScoreField, ...]:
    """Return the fields that the named scores fill.

    Raises:
        UsageError: A name is not one of ``SCORE_NAMES``, or there is none.
    """
    for name in scores:
        if name not in SCORE_NAMES:
            raise UsageError(f"unknown score {name!r}; available are {', '.join(SCORE_NAMES)}")
    return fields_of(scores)
