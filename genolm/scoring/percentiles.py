"""Percentiles: where a score stands among those of background SNVs of the same class.

A percentile is a mid-rank: the share of the background with a lower score and half of the share
with the same one. Scores closer than a ten-thousandth of the class's interquartile range are the
same in part, so that float32 rounding moves no percentile by a whole rank. 0 and 100 mean below
and above all ``n`` of the class; nothing finer than 100 / n is known.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from genolm.data.edit_windows import GenomeWindows
from genolm.data.trinucleotides import Change, change_of
from genolm.genome.edits import Edit
from genolm.scoring.fields import ScoreField, Values, format_score

FEWEST: Final = 20  # background SNVs of a class that percentiles are given for
SUFFIX: Final = "_PCT"
SAME: Final = 1e-4  # of the interquartile range
_OTHER_STRAND: Final = {"llr_fwd": "llr_rev", "llr_rev": "llr_fwd"}


@dataclass(frozen=True, slots=True)
class Ranks:
    """The background of one class.

    Attributes:
        scores: In ascending order, at least one.
        width: Scores this close are the same in part.
    """

    scores: Sequence[float]
    width: float

    @classmethod
    def of(cls, scores: Iterable[float]) -> "Ranks":
        """Rank scores, at least one, in any order."""
        ordered = sorted(scores)
        n = len(ordered)
        return cls(ordered, SAME * (ordered[3 * n // 4] - ordered[n // 4]))

    def percentile(self, score: float) -> float:
        """Return the mid-rank of a score, 0 to 100; it never falls where the score rises."""
        first = bisect_left(self.scores, score - self.width)
        last = bisect_right(self.scores, score + self.width)
        same = self.scores[first:last]
        if self.width:
            # Half for an equal score, rising from 0 to 1 over the width on either side.
            shared = sum(0.5 + (score - other) / (2 * self.width) for other in same)
        else:
            shared = 0.5 * len(same)
        return 100 * (first + shared) / len(self.scores)


def key_on_strand(key: str, change: Change) -> str:
    """Return which number of an allele is meant where a class is read on its own strand.

    Args:
        key: Of a ``ScoreField``.
        change: One written on the reverse strand exchanges the two strands' numbers.
    """
    return _OTHER_STRAND.get(key, key) if change.reverse else key


def percentile_fields(fields: Sequence[ScoreField]) -> tuple[ScoreField, ...]:
    """Return one field for each, called like it with ``_PCT`` behind."""
    taken = {one.name for one in fields}
    found: list[ScoreField] = []
    for one in fields:
        name = f"{one.name}{SUFFIX}"
        while name in taken:  # a classifier may have a class of that name
            name += "_"
        taken.add(name)
        found.append(
            ScoreField(
                name,
                f"{one.key}{SUFFIX.lower()}",
                f"Percentile of {one.name} among background SNVs of the same trinucleotide change,"
                f" both strands together: mid-rank, 0 (lowest) to 100; . for other variants than"
                f" SNVs and for changes with fewer than {FEWEST} in the background",
            )
        )
    return tuple(found)


class Percentiles:
    """Adds to the numbers of a SNV where they stand among the background's.

    Args:
        fields: The scores to place.
        ranks: For the name of each the background by class; classes of fewer than ``FEWEST`` are
            left out.

    Attributes:
        fields: What is added.
    """

    def __init__(
        self, fields: Sequence[ScoreField], ranks: Mapping[str, Mapping[str, Ranks]]
    ) -> None:
        self.fields = percentile_fields(fields)
        self._keys = {one.key: f"{one.key}{SUFFIX.lower()}" for one in fields}
        self._ranks = {
            one.key: {
                name: ranks
                for name, ranks in ranks[one.name].items()
                if len(ranks.scores) >= FEWEST
            }
            for one in fields
        }

    def of(self, genome: GenomeWindows, edit: Edit, values: Values) -> Values:
        """Return the percentiles of an allele, none where it is no SNV with a known class.

        Args:
            genome: Where the neighbours come from.
            edit: The allele.
            values: Its numbers.
        """
        change = change_of(genome, edit)
        if change is None:
            return {}
        found: dict[str, float] = {}
        for key, target in self._keys.items():
            ranks = self._ranks[key_on_strand(key, change)].get(change.name)
            if ranks is not None and key in values:
                # As the background's scores are kept, and as outputs have them.
                found[target] = ranks.percentile(float(format_score(values[key])))
        return found
