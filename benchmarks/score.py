"""Parts of `genolm score`, each measured alone, the model left out (every allele gets 0).

    python benchmarks/score.py io VCF FASTA [--output NAME] [--repeats N]
    python benchmarks/score.py memory VCF FASTA --records 5000000 [--samples N] [--output NAME]

io: reading, checking and writing of records. It prints the best and the median of the repeats: a
busy machine only ever makes them slower.
memory: the same with as many records as asked for, made of the VCF's own. It prints the most
memory that the process had before the first record and at the end.
"""

import argparse
import resource
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest import mock

from many_records import write_records

from genolm.console import set_verbosity
from genolm.data.edit_windows import GenomeWindows
from genolm.genome.fasta import Fasta
from genolm.scoring import score_file as scoring
from genolm.scoring.fields import Result, fields_of, ratio
from genolm.scoring.runtime import Runtime

NOTHING = ratio(0.0, 0.0)


class ZeroScorer:
    """Stands where the model would: an allele that can be scored gets 0."""

    window = 1024
    at_once = 128
    fast = None
    fields = all_fields = fields_of(["llr"])

    def __init__(self, model: object, tokenizer: object, fasta: Fasta, **options: Any) -> None:
        self.genome = GenomeWindows(fasta)

    def score(
        self, alleles: Sequence[Any], advance: Callable[[int], None] | None = None
    ) -> list[Result]:
        """Return nothing but zeros and the reasons."""
        return [one if isinstance(one, str) else NOTHING for one in alleles]


def measure_io(vcf: str, fasta: str, name: str, repeats: int) -> list[float]:
    """Return the records a second of every repeat."""
    with tempfile.TemporaryDirectory() as folder, without_model():
        job = scoring.ScoringJob(vcf, fasta, "none", str(Path(folder) / name))
        found = [scoring.score_file(job) for _ in range(repeats)]
    return [one.records / one.seconds for one in found]


@contextmanager
def without_model() -> Iterator[None]:
    """Put ``ZeroScorer`` in the place of the engine."""
    with (
        mock.patch.object(scoring, "VariantScorer", ZeroScorer),
        mock.patch.object(scoring, "model_digest", return_value="0" * 64),
        mock.patch.object(Runtime, "load", return_value=(None, None)),
    ):
        yield


def measure_memory(vcf: str, fasta: str, name: str, count: int, samples: int) -> str:
    """Score ``count`` records and say how much memory that took."""
    with tempfile.TemporaryDirectory() as folder, without_model():
        source = Path(folder) / "in.vcf.gz"
        # By another process, whose memory does not count.
        maker = get_context("spawn").Process(
            target=write_records, args=(source, vcf, fasta, count, samples)
        )
        maker.start()
        maker.join()
        before = peak_mebibytes()
        found = scoring.score_file(
            scoring.ScoringJob(str(source), fasta, "none", str(Path(folder) / name))
        )
    return (
        f"{found.records:,} records, {found.records / found.seconds:,.0f} a second;"
        f" {before:,.0f} MiB before them, at most {peak_mebibytes():,.0f} MiB"
    )


def peak_mebibytes() -> float:
    """Return the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["io", "memory"])
    parser.add_argument("vcf")
    parser.add_argument("fasta")
    parser.add_argument("--output", default="out.vcf", help="its name tells the format")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--records", type=int, default=5_000_000)
    parser.add_argument("--samples", type=int, default=0)
    given = parser.parse_args()
    set_verbosity(quiet=True, verbose=False)
    if given.part == "memory":
        name, count, samples = given.output, given.records, given.samples
        told = measure_memory(given.vcf, given.fasta, name, count, samples)
        print(f"memory {name}: {told}")
        return
    rates = measure_io(given.vcf, given.fasta, given.output, given.repeats)
    print(
        f"io {given.output}: best {max(rates):,.0f} records/s,"
        f" median {statistics.median(rates):,.0f} of {len(rates)}"
    )


if __name__ == "__main__":
    main()
