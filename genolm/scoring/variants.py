"""Score variants with a language model: the engine that Python and the command line share."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from genolm.errors import UsageError
from genolm.genome.aliases import ContigResolver
from genolm.genome.fasta import Fasta
from genolm.genome.variant import Variant
from genolm.genome.vcf import VcfReader, open_vcf
from genolm.models.auto import maximum_length, objective_of
from genolm.models.backbone import GenolmModel
from genolm.models.configuration import GenolmConfig
from genolm.scoring.batches import BatchSize
from genolm.scoring.causal import CausalRatios
from genolm.scoring.edits import Edit
from genolm.scoring.fields import Ratio, Result, ScoreField, fields_of
from genolm.scoring.likelihood import ModelRunner
from genolm.scoring.masked import MaskedRatios
from genolm.scoring.sites import SiteReader
from genolm.scoring.windows import GenomeWindows
from genolm.tokenization.vocabulary import MASK, VOCABULARY

DEFAULT_WINDOW: Final = 1024
SHORTEST_WINDOW: Final = 8
CHUNK: Final = 4096


@dataclass(frozen=True, slots=True)
class AlleleScore:
    """What is known of one ALT allele.

    Attributes:
        variant: The allele as it was given.
        llr: Log-likelihood ratio, ALT minus REF, natural log, mean of both strands.
        llr_fwd: The same on the forward strand.
        llr_rev: The same on the reverse strand.
        skip: Why there is no score (one of ``SKIP_REASONS``), or None.
    """

    variant: Variant
    llr: float | None = None
    llr_fwd: float | None = None
    llr_rev: float | None = None
    skip: str | None = None


def choose_window(model: GenolmModel, window: int | None) -> int:
    """Return the number of bases in a window.

    Args:
        model: Its config may hold ``training_length``.
        window: The number asked for; None means the training length, or else the smaller of 1024
            and the model's maximum minus 2.

    Raises:
        UsageError: The model cannot read so many, or they are too few.
    """
    config = cast(GenolmConfig, model.config)
    longest = maximum_length(config)
    if window is None:
        return config.training_length or min(
            DEFAULT_WINDOW, longest - 2 if longest else DEFAULT_WINDOW
        )
    if window < SHORTEST_WINDOW:
        raise UsageError(f"a window of {window} bases is too short: at least {SHORTEST_WINDOW}")
    if longest is not None and window > longest:
        raise UsageError(f"a window of {window} bases is too long: the model reads {longest}")
    return window


class VariantScorer:
    """A language model and a genome, ready to score edits.

    Args:
        model: A causal or masked language model; it is put into evaluation mode.
        tokenizer: The model's tokenizer; its base and mask ids must be the official ones.
        fasta: An open FASTA.
        window: Bases in all (see ``choose_window``).
        batch_size: Windows a batch, or "auto".

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
        window: int | None = None,
        batch_size: BatchSize = "auto",
    ) -> None:
        objective = objective_of(model)
        if objective == "classification":
            raise UsageError(
                "the model is a classifier; log-likelihood ratios need a language model"
            )
        _check_vocabulary(tokenizer)
        model.eval()  # type: ignore[no-untyped-call]  # transformers' own
        self.window = choose_window(model, window)
        self.genome = GenomeWindows(fasta)
        runner = ModelRunner(model, batch_size=batch_size)
        self._at_once = runner.batches.at_once(self.window)
        self._ratios: CausalRatios | MaskedRatios
        if objective == "causal_lm":
            self._ratios = CausalRatios(runner, self.genome, self.window)
        else:
            equivariant = bool(getattr(model.config, "rcps", False))
            self._ratios = MaskedRatios(runner, self.genome, self.window, equivariant=equivariant)

    def score(
        self, alleles: Sequence[Edit | str], advance: Callable[[int], None] | None = None
    ) -> list[Result]:
        """Return the ratios of every edit; reasons are handed through.

        Args:
            alleles: Edits to score, and reasons in the place of those that cannot be.
            advance: Called with the number of alleles done, now and then.

        Raises:
            ValueError: The model's numbers are not finite.
        """
        results: list[Result] = []
        for start in range(0, len(alleles), self._at_once):
            some = alleles[start : start + self._at_once]
            ratios = self._ratios.score([one for one in some if isinstance(one, Edit)])
            if not np.isfinite(ratios).all():
                raise ValueError(
                    "the model's log-likelihoods are not finite: its weights are damaged, or the"
                    " numbers are too large for this --dtype (try float32)"
                )
            found = itertools.starmap(Ratio, ratios.tolist())
            results += [one if isinstance(one, str) else next(found) for one in some]
            if advance is not None:
                advance(len(some))
        return results


def score_variants(
    model: GenolmModel,
    tokenizer: PreTrainedTokenizerBase,
    variants: Iterable[Variant] | str | Path,
    fasta: Fasta | str | Path,
    scores: Sequence[str] = ("llr",),
    *,
    window: int | None = None,
    batch_size: BatchSize = "auto",
    device: str | torch.device | None = None,
) -> Iterator[AlleleScore]:
    """Return the scores of variants, in their order, one per ALT allele.

    Args:
        model: A causal or masked language model.
        tokenizer: Its tokenizer.
        variants: Variants, or the path of a VCF.
        fasta: The reference genome.
        scores: Names from ``SCORES``; what was not asked for is None.
        window: Bases in all; default the training length saved in the config, else the smaller of
            1024 and the model's maximum minus 2.
        batch_size: Windows a batch, or "auto".
        device: Where to run; default where the model is.

    Returns:
        An iterator; variants are read as it is gone through.

    Raises:
        UsageError: An unknown score, a window that does not fit, a missing file.
        InputError: The content of a file is wrong.
    """
    fields = fields_of(scores)
    if device is not None:
        model.to(torch.device(device))  # type: ignore[arg-type]  # the stub knows tensors only
    opened = fasta if isinstance(fasta, Fasta) else Fasta(fasta)
    scorer = VariantScorer(model, tokenizer, opened, window=window, batch_size=batch_size)
    lengths: dict[str, int] = {}
    if isinstance(variants, str | Path):
        reader = open_vcf(variants)
        lengths = reader.contig_lengths
        variants = _variants(reader)
    sites = SiteReader(scorer.genome, ContigResolver(opened.contigs, lengths), scorer.window)
    return _score(scorer, sites, variants, fields)


def _variants(reader: VcfReader) -> Iterator[Variant]:
    with reader:
        for record in reader:
            for alt in record.alts:
                yield Variant(record.chrom, record.start, record.ref, alt or ".")


def _score(
    scorer: VariantScorer,
    sites: SiteReader,
    variants: Iterable[Variant],
    fields: Sequence[ScoreField],
) -> Iterator[AlleleScore]:
    remaining = iter(variants)
    while chunk := list(itertools.islice(remaining, CHUNK)):
        alleles = [sites.read(v.chrom, v.start, v.ref, (v.alt,)).alleles[0] for v in chunk]
        for variant, result in zip(chunk, scorer.score(alleles), strict=True):
            values = {field.attribute: field.value(result) for field in fields}
            yield AlleleScore(variant, skip=result if isinstance(result, str) else None, **values)


def _check_vocabulary(tokenizer: PreTrainedTokenizerBase) -> None:
    for letter in "ACGTN":
        found = tokenizer.convert_tokens_to_ids(letter)
        if found != VOCABULARY[letter]:
            raise ValueError(
                f"the tokenizer gives {letter} the id {found}, but genolm's models use"
                f" {VOCABULARY[letter]}; load model and tokenizer with genolm.load"
            )
    if tokenizer.mask_token_id not in (None, MASK):
        raise ValueError(f"the tokenizer's mask id is {tokenizer.mask_token_id}, not {MASK}")
