"""The train, validation and test parts of labelled variants."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genolm.data.edit_windows import GenomeWindows
from genolm.data.labelled_variants import (
    LabelledVariants,
    describe_skipped,
)
from genolm.data.labels import LabelSpace
from genolm.data.labels import Task as Label
from genolm.data.strata import name_strata
from genolm.data.variant_dataset import VariantDataset
from genolm.data.variant_texts import category, count_near, local_texts
from genolm.metrics.baselines import majority_rate
from genolm.metrics.strata import stratified_metrics
from genolm.metrics.variant_baselines import (
    category_scores,
    kmer_difference_scores,
    mean_metrics,
)


@dataclass(frozen=True)
class VariantPart:
    """Variants and their labels as numbers.

    Attributes:
        rows: Variants and labels as text.
        targets: Labels (rows,).
        genome: The reference bases.
    """

    rows: LabelledVariants
    targets: NDArray[Any]
    genome: GenomeWindows

    def examples(
        self, length: int, *, conjoin: bool = False, reverse: bool = False
    ) -> VariantDataset:
        """Return the variants in order; see :class:`genolm.training.parts.Part`."""
        return VariantDataset(
            self.rows.edits,
            self.targets,
            self.genome,
            window=length,
            conjoin=conjoin,
            reverse=reverse,
        )

    def name_columns(self) -> Sequence[str]:
        """Return the columns of a table of variants."""
        return ["chrom", "pos", "ref", "alt"]

    def name(self, row: int) -> Sequence[str]:
        """Return a variant as its file has it, with a 1-based position."""
        one = self.rows.variants[row]
        return [one.chrom, str(one.start + 1), one.ref, one.alt]

    def digest(self) -> str:
        """Return a digest of the variants and their labels."""
        digest = hashlib.sha256()
        for edit, label in zip(self.rows.edits, self.rows.labels, strict=True):
            digest.update("\t".join([*map(str, edit), label, ""]).encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class VariantParts:
    """Labelled variants, split.

    Attributes:
        space: What labels can be.
        train: Learned from.
        valid: Decides which epoch is kept.
        test: Judged once.
        learned: Train, with what was held out of it: what a baseline may learn from.
        window: Bases of a window.
        skipped: How many alleles of each file were left out, by reason.
        edges: Between ranges of a stratum that is a number.
        inputs: Sequences that the model reads for an example.
    """

    space: LabelSpace
    train: VariantPart
    valid: VariantPart
    test: VariantPart
    learned: VariantPart
    window: int
    skipped: Mapping[str, Mapping[str, int]]
    edges: Sequence[float] | None = None
    inputs: int = 2

    def digests(self) -> dict[str, str]:
        """Return a digest of each part's variants and labels."""
        parts = {"train": self.train, "valid": self.valid, "test": self.test}
        return {name: part.digest() for name, part in parts.items()}

    def facts(self) -> dict[str, Any]:
        """Return what metrics.json says of the set."""
        return {
            "duplicates": {
                "test_in_train": self._shared(self.learned, self.test),
                "test_near_train": count_near(
                    self.learned.rows.edits, self.test.rows.edits, self.window // 2
                ),
                "valid_near_train": count_near(
                    self.train.rows.edits, self.valid.rows.edits, self.window // 2
                ),
            },
            "skipped": {name: dict(counts) for name, counts in self.skipped.items()},
        }

    @staticmethod
    def _shared(known: VariantPart, asked: VariantPart) -> int:
        edits = set(known.rows.edits)
        return sum(edit in edits for edit in asked.rows.edits)

    def warnings(self, length: int) -> Iterator[str]:
        """Yield what was left out of each file, and what the parts share."""
        for name, counts in self.skipped.items():
            if counts:
                yield f"data.{name}: left out {', '.join(describe_skipped(counts))}"
        found = self.facts()["duplicates"]
        if found["test_in_train"]:
            yield (
                f"{found['test_in_train']:,} of {len(self.test.rows):,} test variants are also in "
                "train: the test figures may flatter the model"
            )
        for part, count in (("test", "test_near_train"), ("valid", "valid_near_train")):
            if found[count]:
                size = len(getattr(self, part).rows)
                yield (
                    f"{found[count]:,} of {size:,} {part} variants stand within "
                    f"{self.window // 2:,} bases of a train variant: neighbours may give their "
                    "labels away (hold whole groups out with data.group)"
                )

    def describe(self, length: int) -> str:
        """Say what is trained on."""
        return f"the windows of both alleles, {length:,} bases each"

    def baseline_scores(self, task: Label, seed: int) -> dict[str, NDArray[np.float64]]:
        """Return the scores of trinucleotide changes, and of k-mers, on the test variants."""
        known, asked = self.learned, self.test
        scored = {}
        tools: tuple[tuple[str, Callable[..., Any], Callable[..., Any]], ...] = (
            ("trinucleotide", category_scores, category),
            ("kmer_difference", kmer_difference_scores, local_texts),
        )
        for name, score, feature in tools:
            features = [[feature(p.genome, edit) for edit in p.rows.edits] for p in (known, asked)]
            scored[name] = score(features[0], known.targets, features[1], asked.targets, task=task)
        return scored

    def strata_figures(
        self, scores: Mapping[str, NDArray[np.float64]], task: Label
    ) -> dict[str, dict[str, dict[str, dict[str, float | None]]]]:
        """Return by name the figures of every stratum, and their means, as ``test_strata``."""
        strata = name_strata(self.test.rows.strata, self.edges, self.test.rows.places)
        if not strata:
            return {}
        found = {
            name: stratified_metrics(self.test.targets, said, strata, task=task)
            for name, said in scores.items()
        }
        return {"test_strata": found}

    def constant_figures(self, task: Label) -> dict[str, dict[str, float | None]]:
        """Return the accuracy of the majority, or the figures of the mean."""
        known, asked = self.learned.targets, self.test.targets
        if task == "regression":
            return {"mean": mean_metrics(known, asked)}
        return {"majority": {"accuracy": majority_rate(known, asked)}}
