"""A calibration: the scores of background SNVs by class, and what they were computed with.

Its file is JSON. The same background under the same conditions gives the same bytes, in whatever
order its SNVs come.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from genolm import __version__
from genolm.atomic import write_text
from genolm.console import warn
from genolm.data.trinucleotides import CHANGES
from genolm.errors import InputError
from genolm.genome.compression import require_file
from genolm.scoring.calibration_note import CalibrationNote
from genolm.scoring.fields import ScoreField, format_score
from genolm.scoring.percentiles import FEWEST, Percentiles, Ranks

FORMAT: Final = 1
MARK: Final = "genolm_calibration"
_MUST_MATCH: Final = ("model_sha256", "reference_fai_md5", "window", "layer", "dtype", "mode")

Scores = Mapping[str, Mapping[str, Sequence[float]]]  # by field name and class


@dataclass(frozen=True, slots=True)
class Conditions:
    """Everything that a background's scores depend on.

    Attributes:
        version: Version of genolm.
        model_sha256: Digest of the weights file; empty for a model that was not read from one.
        reference_fai_md5: Digest of the genome's index.
        window: Bases of a window.
        layer: Hidden states that distances are taken between; None where they are the final ones,
            or no score is a distance.
        dtype: Number formats of the model.
        mode: ``exact``, or the name of a fast mode.
        scores: Names of the fields.
        background: ``random:N``, or ``sha256:`` and the digest of the background's file.
        seed: Of the random SNVs; None where they come from a file.
    """

    version: str
    model_sha256: str
    reference_fai_md5: str
    window: int
    layer: int | None
    dtype: str
    mode: str
    scores: tuple[str, ...]
    background: str
    seed: int | None

    @property
    def name(self) -> str:
        """What a file with these conditions is called."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class _Stored(BaseModel):
    """What the file holds."""

    model_config = ConfigDict(extra="forbid")

    genolm_calibration: Literal[1]
    conditions: Conditions
    background: str
    counts: dict[str, Annotated[int, Field(gt=0)]]
    scores: dict[str, dict[str, list[FiniteFloat]]]


@dataclass(frozen=True, slots=True)
class Calibration:
    """The scores of background SNVs.

    Attributes:
        conditions: What they were computed with.
        background: How the background is called.
        scores: In ascending order, by field name and class.
    """

    conditions: Conditions
    background: str
    scores: Scores

    @classmethod
    def of(cls, conditions: Conditions, background: str, scores: Scores) -> "Calibration":
        """Take in scores in any order, to the 9 significant digits that outputs have."""
        ordered = {
            field: {
                change: sorted(float(format_score(one)) for one in found[change])
                for change in CHANGES
                if found.get(change)
            }
            for field, found in scores.items()
        }
        return cls(conditions, background, ordered)

    @property
    def counts(self) -> dict[str, int]:
        """Background SNVs of every class that has some."""
        found = self.scores[self.conditions.scores[0]]
        return {change: len(scores) for change, scores in found.items()}

    @property
    def scarce(self) -> list[str]:
        """Classes that have too few for percentiles."""
        counts = self.counts
        return [change for change in CHANGES if counts.get(change, 0) < FEWEST]

    @property
    def note(self) -> CalibrationNote:
        """What outputs say about it."""
        digest = hashlib.sha256(self.text().encode()).hexdigest()
        snvs = sum(self.counts.values())
        return CalibrationNote(self.conditions.name, self.background, snvs, digest)

    def __str__(self) -> str:
        """Say what it is, for messages."""
        seed = "" if self.conditions.seed is None else f", seed {self.conditions.seed}"
        return f"{sum(self.counts.values()):,} background SNVs ({self.background}{seed})"

    def text(self) -> str:
        """Return what its file holds."""
        stored = {
            MARK: FORMAT,
            "conditions": asdict(self.conditions),
            "background": self.background,
            "counts": self.counts,
            "scores": self.scores,
        }
        return json.dumps(stored, separators=(",", ":")) + "\n"

    def save(self, path: str | Path) -> None:
        """Write its file, whole or not at all."""
        write_text(path, self.text())

    def check(self, conditions: Conditions, source: str | Path) -> None:
        """Refuse a calibration that was made for something else.

        Args:
            conditions: Those of the scores to be placed.
            source: How the message calls this calibration.

        Raises:
            InputError: Naming what differs.
        """
        for key in _MUST_MATCH:
            ours, theirs = getattr(conditions, key), getattr(self.conditions, key)
            if ours != theirs:
                raise InputError(
                    f"{source}: a calibration for another run: its {key} is {theirs!r}, expected"
                    f" {ours!r}; make one with --calibrate random"
                )
        for name in conditions.scores:
            if name not in self.scores:
                raise InputError(
                    f"{source}: a calibration of other scores: it has"
                    f" {', '.join(self.conditions.scores)}, expected {name}; make one with"
                    " --calibrate random"
                )
        if self.conditions.version != conditions.version:
            warn(f"{source} was made by genolm {self.conditions.version}, this is {__version__}")

    def percentiles(self, fields: Sequence[ScoreField]) -> Percentiles:
        """Return what places the scores of these fields."""
        ranks = {
            one.name: {change: Ranks.of(found) for change, found in self.scores[one.name].items()}
            for one in fields
        }
        return Percentiles(fields, ranks)


def is_calibration(path: Path) -> bool:
    """Say whether a file is a stored calibration, judged by its beginning."""
    with path.open("rb") as file:
        return file.read(1) == b"{"


def read_calibration(path: str | Path) -> Calibration:
    """Read a stored calibration.

    Raises:
        UsageError: There is no such file.
        InputError: It is damaged.
    """
    text = require_file(path).read_bytes()
    try:
        stored = _Stored.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise _damaged(path, f"{place}: {first['msg']}" if place else first["msg"]) from None
    for name in stored.conditions.scores:
        found = {change: len(scores) for change, scores in stored.scores.get(name, {}).items()}
        if found != stored.counts:
            raise _damaged(path, f"scores.{name}: not as many numbers as counts says")
    if not stored.conditions.scores or not stored.counts.keys() <= set(CHANGES):
        raise _damaged(path, "no scores, or of unknown trinucleotide changes")
    return Calibration.of(stored.conditions, stored.background, stored.scores)


def _damaged(path: str | Path, reason: str) -> InputError:
    return InputError(
        f"{path}: a damaged calibration ({reason}); delete it and make it again with"
        " --calibrate random"
    )
