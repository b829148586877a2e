"""The scores that can be asked for, and the INFO fields they fill."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from genolm.data.columns import Kind
from genolm.errors import UsageError
from genolm.genome.edits import SKIP_REASONS

PREFIX: Final = "GENOLM_"
SKIP: Final = f"{PREFIX}SKIP"

_SIGN: Final = "ALT minus REF, natural log, negative = the model finds ALT less likely"


SCREEN: Final = "screen"

Values = Mapping[str, float]  # the numbers of an allele by what they measure
Result = Values | str  # or the reason why it has none


def ratio(forward: float, reverse: float) -> Values:
    """Log-likelihood ratios of one allele, ALT minus REF, natural logarithm.

    Args:
        forward: On the forward strand.
        reverse: On the reverse strand.

    Returns:
        Both, and their mean as ``llr``.
    """
    return {"llr": (forward + reverse) / 2, "llr_fwd": forward, "llr_rev": reverse}


@dataclass(frozen=True, slots=True)
class ScoreField:
    """One number per ALT allele.

    Attributes:
        name: INFO field or column.
        key: Where it stands among the values of an allele.
        description: What stands in the INFO line of the header.
    """

    name: str
    key: str
    description: str

    info_type: ClassVar[str] = "Float"
    kind: ClassVar[Kind] = "real"

    def value(self, result: Result) -> float | None:
        """Return the number of an allele, None where it was not scored, or not by this score."""
        return None if isinstance(result, str) else result.get(self.key)

    def cell(self, result: Result) -> float | str | None:
        """Return what a table or JSON holds for an allele."""
        return self.value(result)

    def text(self, result: Result) -> str | None:
        """Return what VCF and BED hold for an allele."""
        value = self.value(result)
        return None if value is None else format_score(value)


class TextedValues(dict[str, float]):
    """The numbers of an allele with texts beside them.

    Args:
        values: The numbers.
        texts: The texts by what they say.

    Attributes:
        texts: Likewise.
    """

    def __init__(self, values: Values, texts: Mapping[str, str]) -> None:
        super().__init__(values)
        self.texts = texts


@dataclass(frozen=True, slots=True)
class TextField(ScoreField):
    """One text per ALT allele, without characters that INFO does not allow."""

    info_type: ClassVar[str] = "String"
    kind: ClassVar[Kind] = "text"

    def value(self, result: Result) -> float | None:
        """Return None: a text is no number."""
        return None

    def cell(self, result: Result) -> float | str | None:
        """Return what a table or JSON holds for an allele."""
        return self.text(result)

    def text(self, result: Result) -> str | None:
        """Return the text of an allele, None where it has none."""
        return result.texts.get(self.key) if isinstance(result, TextedValues) else None


_DISTANCE: Final = "of the final hidden states (or of --layer), ALT from REF, mean of both strands"

SCORES: Final[dict[str, tuple[ScoreField, ...]]] = {
    "llr": (
        ScoreField(f"{PREFIX}LLR", "llr", f"Log-likelihood ratio, mean of both strands; {_SIGN}"),
    ),
    "llr_strands": (
        ScoreField(f"{PREFIX}LLR_FWD", "llr_fwd", f"Log-likelihood ratio, forward strand; {_SIGN}"),
        ScoreField(f"{PREFIX}LLR_REV", "llr_rev", f"Log-likelihood ratio, reverse strand; {_SIGN}"),
    ),
    "wild_type": (
        ScoreField(
            f"{PREFIX}WT",
            "wild_type",
            "Log-likelihood ratio of the bases under the unchanged reference window, mean of both "
            f"strands, substitutions only; {_SIGN}",
        ),
    ),
    SCREEN: (
        ScoreField(
            f"{PREFIX}SCREEN",
            SCREEN,
            "First-order approximation of the log-likelihood ratio, for ranking only: a few "
            "positions from a substitution on are exact, the rest comes from one gradient for all "
            f"variants of a tile; mean of both strands; {_SIGN}",
        ),
    ),
    "dist": (
        ScoreField(f"{PREFIX}DIST", "dist", f"Euclidean distance of the window means {_DISTANCE}"),
    ),
    "dist_cosine": (
        ScoreField(
            f"{PREFIX}DIST_COSINE",
            "dist_cosine",
            f"Cosine distance of the window means {_DISTANCE}",
        ),
    ),
    "dist_site": (
        ScoreField(
            f"{PREFIX}DIST_SITE", "dist_site", f"Euclidean distance at the variant {_DISTANCE}"
        ),
    ),
    "dist_site_cosine": (
        ScoreField(
            f"{PREFIX}DIST_SITE_COSINE",
            "dist_site_cosine",
            f"Cosine distance at the variant {_DISTANCE}",
        ),
    ),
}
DELTA: Final = "delta"  # its fields are the classes of the model
EFFECT: Final = "effect"  # likewise, of a model that was fine-tuned on variants
NAMES: Final = (*SCORES, DELTA, EFFECT)

_ILLEGAL: Final = re.compile(r"[^A-Za-z0-9_.]")

SKIP_DESCRIPTION: Final = (
    "Why the ALT allele was not scored: . (it was scored) or one of " + " ".join(SKIP_REASONS)
)


def check_scores(scores: Iterable[str]) -> list[str]:
    """Return the names of scores, each once.

    Raises:
        UsageError: A name is not a score.
    """
    names = list(dict.fromkeys(scores))
    for name in names:
        if name not in NAMES:
            raise UsageError(f"unknown score {name!r}; available are {', '.join(NAMES)}")
    return names


def fields_of(scores: Iterable[str], classes: Sequence[str] = ()) -> tuple[ScoreField, ...]:
    """Return the fields that the named scores fill, each once.

    Args:
        scores: Names from ``NAMES``.
        classes: Names of a fine-tuned model's outputs, for ``delta`` and ``effect``.

    Raises:
        UsageError: A name is not a score, or there is none.
    """
    names = check_scores(scores)
    if not names:
        raise UsageError(f"no score was asked for; available are {', '.join(NAMES)}")
    fixed = [field for name in names if name in SCORES for field in SCORES[name]]
    delta = delta_fields(classes) if DELTA in names else ()
    return (*fixed, *delta, *(effect_fields(classes) if EFFECT in names else ()))


def delta_fields(classes: Sequence[str]) -> tuple[ScoreField, ...]:
    """Return one field for each class; letters that INFO does not allow become ``_``.

    Args:
        classes: Names of the outputs, in their order.
    """
    said = "Change in the classifier's output for {}: logit (or value) of ALT minus REF"
    return _class_fields(classes, "delta", said)


def effect_fields(classes: Sequence[str]) -> tuple[ScoreField, ...]:
    """Return the same of a model that was fine-tuned on variants.

    Args:
        classes: Names of the outputs, in their order.
    """
    said = "Output of the variant-effect model for {}, of ALT compared with REF: logit (or value)"
    return _class_fields(classes, "effect", said)


def _class_fields(classes: Sequence[str], kind: str, said: str) -> tuple[ScoreField, ...]:
    fields: list[ScoreField] = []
    taken: set[str] = set()
    for number, name in enumerate(classes):
        plain = _ILLEGAL.sub("_", name) or "_"
        if plain in taken:
            plain = f"{plain}_{number}"
        taken.add(plain)
        shown = " ".join(name.replace('"', "'").split())
        fields.append(
            ScoreField(f"{PREFIX}{kind.upper()}_{plain}", f"{kind}_{number}", said.format(shown))
        )
    return tuple(fields)


def format_score(value: float) -> str:
    """Return a score as text that reads back to the same float32 (9 significant digits)."""
    return f"{value:.9g}"
