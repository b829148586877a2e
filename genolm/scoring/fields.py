"""The scores that can be asked for, and the INFO fields they fill."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from genolm.errors import UsageError
from genolm.scoring.edits import SKIP_REASONS

PREFIX: Final = "GENOLM_"
SKIP: Final = f"{PREFIX}SKIP"

_SIGN: Final = "ALT minus REF, natural log, negative = the model finds ALT less likely"


class Ratio(NamedTuple):
    """Log-likelihood ratios of one allele, ALT minus REF, natural logarithm.

    Attributes:
        llr_fwd: On the forward strand.
        llr_rev: On the reverse strand.
    """

    llr_fwd: float
    llr_rev: float

    @property
    def llr(self) -> float:
        """The mean of both strands."""
        return (self.llr_fwd + self.llr_rev) / 2


Result = Ratio | str  # the ratios of an allele, or the reason why it has none


@dataclass(frozen=True, slots=True)
class ScoreField:
    """One number per ALT allele.

    Attributes:
        name: INFO field or column.
        attribute: Attribute of ``Ratio`` (and of ``AlleleScore``) that holds it.
        description: What stands in the INFO line of the header.
    """

    name: str
    attribute: str
    description: str

    def value(self, result: Result) -> float | None:
        """Return the number of an allele, None where it was not scored."""
        return None if isinstance(result, str) else float(getattr(result, self.attribute))


SCORES: Final[dict[str, tuple[ScoreField, ...]]] = {
    "llr": (
        ScoreField(f"{PREFIX}LLR", "llr", f"Log-likelihood ratio, mean of both strands; {_SIGN}"),
    ),
    "llr_strands": (
        ScoreField(f"{PREFIX}LLR_FWD", "llr_fwd", f"Log-likelihood ratio, forward strand; {_SIGN}"),
        ScoreField(f"{PREFIX}LLR_REV", "llr_rev", f"Log-likelihood ratio, reverse strand; {_SIGN}"),
    ),
}

SKIP_DESCRIPTION: Final = (
    "Why the ALT allele was not scored: . (it was scored) or one of " + " ".join(SKIP_REASONS)
)


def fields_of(scores: Iterable[str]) -> tuple[ScoreField, ...]:
    """Return the fields that the named scores fill, each once.

    Raises:
        UsageError: A name is not a score, or there is none.
    """
    names = list(dict.fromkeys(scores))
    for name in names:
        if name not in SCORES:
            raise UsageError(f"unknown score {name!r}; available are {', '.join(SCORES)}")
    if not names:
        raise UsageError(f"no score was asked for; available are {', '.join(SCORES)}")
    return tuple(field for name in names for field in SCORES[name])


def format_score(value: float) -> str:
    """Return a score as text that reads back to the same float32 (9 significant digits)."""
    return f"{value:.9g}"
