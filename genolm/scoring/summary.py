"""What a scoring came to."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from genolm.genome.edits import SKIP_REASONS
from genolm.scoring.fields import Result


@dataclass
class Summary:
    """What a scoring came to.

    Attributes:
        records: Records read and written.
        alleles: ALT alleles; a record without any counts as one.
        scored: Alleles with a score.
        skipped: Alleles without one, by reason.
        known: Alleles whose scores an interrupted run had computed.
        seconds: Time from the first record to the last, loading of the model left out.
        fast: What is to be said of the fast mode; empty where there was none.
    """

    records: int = 0
    alleles: int = 0
    scored: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    known: int = 0
    seconds: float = 0.0
    fast: str = ""

    def count(self, results: Sequence[Result], records: int = 1) -> None:
        """Count records with their results."""
        reasons = [result for result in results if isinstance(result, str)]
        self.records += records
        self.alleles += len(results)
        self.scored += len(results) - len(reasons)
        self.skipped.update(reasons)

    def line(self) -> str:
        """Return the closing line."""
        reasons = [f"{name} {self.skipped[name]}" for name in SKIP_REASONS if self.skipped[name]]
        skipped = f"{sum(self.skipped.values())} skipped"
        if reasons:
            skipped += f" ({', '.join(reasons)})"
        known = f" ({self.known} of them before)" if self.known else ""
        rate = max(self.scored - self.known, 0) / max(self.seconds, 1e-9)
        return (
            f"{self.records} records, {self.alleles} alleles, {self.scored} scored{known},"
            f" {skipped} in {self.seconds:.1f} s ({rate:.1f} variants/s){self.fast}"
        )
