"""Parts of `genolm score`, each measured alone.

    python benchmarks/score.py io VCF FASTA [--output NAME] [--repeats N]

io: reading, checking and writing of records, the model left out (every allele gets 0). It prints
the best and the median of the repeats: a busy machine only ever makes them slower.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from genolm.console import set_verbosity
from genolm.genome.fasta import Fasta
from genolm.scoring import score_file as scoring
from genolm.scoring.fields import Result, fields_of, ratio
from genolm.scoring.runtime import Runtime
from genolm.scoring.windows import GenomeWindows

NOTHING = ratio(0.0, 0.0)


class ZeroScorer:
    """Stands where the model would: an allele that can be scored gets 0."""

    window = 1024
    at_once = 128
    fast = None
    fields = fields_of(["llr"])

    def __init__(self, model: object, tokenizer: object, fasta: Fasta, **options: Any) -> None:
        self.genome = GenomeWindows(fasta)

    def score(
        self, alleles: Sequence[Any], advance: Callable[[int], None] | None = None
    ) -> list[Result]:
        """Return nothing but zeros and the reasons."""
        return [one if isinstance(one, str) else NOTHING for one in alleles]


def measure_io(vcf: str, fasta: str, name: str, repeats: int) -> list[float]:
    """Return the records a second of every repeat."""
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(scoring, "VariantScorer", ZeroScorer),
        mock.patch.object(scoring, "model_digest", return_value="0" * 64),
        mock.patch.object(Runtime, "load", return_value=(None, None)),
    ):
        job = scoring.ScoringJob(vcf, fasta, "none", str(Path(folder) / name))
        found = [scoring.score_file(job) for _ in range(repeats)]
    return [one.records / one.seconds for one in found]


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["io"])
    parser.add_argument("vcf")
    parser.add_argument("fasta")
    parser.add_argument("--output", default="out.vcf", help="its name tells the format")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    set_verbosity(quiet=True, verbose=False)
    rates = measure_io(given.vcf, given.fasta, given.output, given.repeats)
    print(
        f"io {given.output}: best {max(rates):,.0f} records/s,"
        f" median {statistics.median(rates):,.0f} of {len(rates)}"
    )


if __name__ == "__main__":
    main()
