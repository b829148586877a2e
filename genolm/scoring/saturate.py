"""Score every SNV of a region: all three substitutions of every base, in constant memory.

The numbers are those of scoring the same SNVs one by one: every window is centred on its site. A
masked model reads each site once for its three alleles (twice where it is not equivariant), a
causal model reads the reference window once and each allele once, on both strands.
"""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from genolm.genome.edits import Edit
from genolm.genome.fasta import Fasta
from genolm.genome.interval import Interval
from genolm.models.backbone import GenolmModel
from genolm.scoring.batches import BatchSize
from genolm.scoring.fast_store import FastStore
from genolm.scoring.fields import SCREEN, Result, ScoreField
from genolm.scoring.scorer import VariantScorer
from genolm.tokenization.encode import decode

RATIO_NAMES: Final = ("llr", "llr_strands")
SCORE_NAMES: Final = (*RATIO_NAMES, SCREEN)
BASES: Final = "ACGT"
SNVS_A_SITE: Final = len(BASES) - 1


class Snv(NamedTuple):
    """One substitution.

    Attributes:
        start: 0-based.
        ref: The base of the genome.
        alt: Another base.
        result: Its score.
    """

    start: int
    ref: str
    alt: str
    result: Result


@dataclass(frozen=True, slots=True)
class SiteBlock:
    """Neighbouring bases of one interval with the scores of their SNVs.

    Attributes:
        number: Number of the interval, from 0.
        chrom: Contig.
        start: First base, 0-based.
        bases: Upper-case reference bases; N where there is none, which has no SNVs.
        results: Three for each base that is no N, in the order of ``BASES`` without the base.
    """

    number: int
    chrom: str
    start: int
    bases: str
    results: Sequence[Result]

    @property
    def unknown(self) -> int:
        """Number of bases that are N."""
        return self.bases.count("N")

    def snvs(self) -> Iterator[Snv]:
        """Return the substitutions by position and then by letter."""
        for (start, ref, alt), result in zip(
            _substitutions(self.start, self.bases), self.results, strict=True
        ):
            yield Snv(start, ref, alt, result)

    def scores(self, score: ScoreField) -> NDArray[np.float64]:
        """Return a score as (bases, 4), columns as in ``BASES``; nan at the reference base."""
        table = np.full((len(self.bases), len(BASES)), np.nan)
        for snv in self.snvs():
            value = score.value(snv.result)
            if value is not None:
                table[snv.start - self.start, BASES.index(snv.alt)] = value
        return table


def _substitutions(start: int, bases: str) -> Iterator[tuple[int, str, str]]:
    for position, ref in enumerate(bases, start):
        if ref != "N":
            yield from ((position, ref, alt) for alt in BASES if alt != ref)


class SiteScorer(VariantScorer):
    """A language model and a genome, ready to score all SNVs of a base together.

    Args:
        model: A causal or masked language model; it is put into evaluation mode.
        tokenizer: The model's tokenizer.
        fasta: An open FASTA.
        scores: Names from ``SCORE_NAMES``.
        window: Bases in all; None for the model's own.
        batch_size: Windows a batch, or "auto".
        fast: Where the calibrations of fast modes are kept; None for the exact scores.

    Raises:
        UsageError: The model is no language model, or the window does not fit it.
        ValueError: The tokenizer's ids are not the official ones.
    """

    def __init__(
        self,
        model: GenolmModel,
        tokenizer: PreTrainedTokenizerBase,
        fasta: Fasta,
        *,
        scores: Sequence[str] = RATIO_NAMES,
        window: int | None = None,
        batch_size: BatchSize = "auto",
        fast: FastStore | None = None,
    ) -> None:
        super().__init__(
            model,
            tokenizer,
            fasta,
            scores=scores,
            window=window,
            batch_size=batch_size,
            fast=fast,
        )
        self.at_once *= SNVS_A_SITE  # so that the alleles of a site are never divided

    @property
    def sites_at_once(self) -> int:
        """Bases that keep every thread busy for a while."""
        return self.at_once // SNVS_A_SITE

    def saturate(
        self, intervals: Iterable[Interval], advance: Callable[[int], None] | None = None
    ) -> Iterator[SiteBlock]:
        """Score every SNV of intervals, in their order.

        Args:
            intervals: Must lie on the genome's contigs; strands do not count.
            advance: Called with the number of SNVs done, now and then.

        Raises:
            ValueError: The model's numbers are not finite.
        """
        for pieces in _group(intervals, self.sites_at_once):
            texts = [decode(self.genome.ids(one.chrom, one.start, one.end)) for _, one in pieces]
            edits = [
                [Edit(one.chrom, *found) for found in _substitutions(one.start, text)]
                for (_, one), text in zip(pieces, texts, strict=True)
            ]
            results = iter(self.score(list(itertools.chain.from_iterable(edits)), advance))
            for (number, one), text, own in zip(pieces, texts, edits, strict=True):
                some = tuple(itertools.islice(results, len(own)))
                yield SiteBlock(number, one.chrom, one.start, text, some)


def _group(intervals: Iterable[Interval], size: int) -> Iterator[list[tuple[int, Interval]]]:
    """Divide intervals, and put them together, into groups of ``size`` bases."""
    group: list[tuple[int, Interval]] = []
    room = size
    for number, interval in enumerate(intervals):
        start = interval.start
        while start < interval.end:
            end = min(interval.end, start + room)
            group.append((number, Interval(interval.chrom, start, end)))
            room -= end - start
            start = end
            if not room:
                yield group
                group, room = [], size
    if group:
        yield group


@dataclass
class Summary:
    """What a saturation came to.

    Attributes:
        sites: Bases whose SNVs were scored.
        snvs: SNVs scored.
        skipped: Bases left out, by reason.
        known: SNVs whose scores an interrupted run had computed.
        seconds: Time of the scoring, loading of the model left out.
        fast: What is to be said of the fast mode; empty where there was none.
    """

    sites: int = 0
    snvs: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    known: int = 0
    seconds: float = 0.0
    fast: str = ""
    _started: float = field(default_factory=time.monotonic)

    def count(self, block: SiteBlock) -> None:
        """Count a block."""
        if block.unknown:
            self.skipped["non_acgt_ref"] += block.unknown
        self.sites += len(block.bases) - block.unknown
        self.snvs += len(block.results)
        self.seconds = time.monotonic() - self._started

    def line(self) -> str:
        """Return the closing line."""
        skipped = f"{sum(self.skipped.values())} bases skipped"
        if self.skipped:
            reasons = ", ".join(f"{name} {count}" for name, count in sorted(self.skipped.items()))
            skipped += f" ({reasons})"
        known = f" ({self.known} of them before)" if self.known else ""
        rate = max(self.snvs - self.known, 0) / max(self.seconds, 1e-9)
        return (
            f"{self.sites} sites, {self.snvs} SNVs scored{known}, {skipped}"
            f" in {self.seconds:.1f} s ({rate:.1f} SNVs/s){self.fast}"
        )
