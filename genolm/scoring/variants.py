"""Score variants with a model from Python; the command line runs the same engine."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch
from transformers import PreTrainedTokenizerBase

from genolm.data.sites import SiteReader
from genolm.genome.aliases import ContigResolver
from genolm.genome.fasta import Fasta
from genolm.genome.variant import Variant
from genolm.genome.vcf import VcfReader, open_vcf
from genolm.models.backbone import GenolmModel
from genolm.scoring.batches import BatchSize
from genolm.scoring.calibration import Calibration
from genolm.scoring.calibrator import add_calibration
from genolm.scoring.consequence_column import CONSEQUENCE, GENE, ConsequenceColumn
from genolm.scoring.fast_store import FastStore
from genolm.scoring.fields import check_scores
from genolm.scoring.scorer import VariantScorer, choose_window

__all__ = ["CHUNK", "AlleleScore", "VariantScorer", "choose_window", "score_variants"]

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
        values: Every number that was asked for, by the name of its INFO field.
        consequence: What it does to genes (one of ``genolm.genome.consequences.TERMS``), where an
            annotation was given.
        gene: The gene that this is about, several joined by ``&``.
    """

    variant: Variant
    llr: float | None = None
    llr_fwd: float | None = None
    llr_rev: float | None = None
    skip: str | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    consequence: str | None = None
    gene: str | None = None


def score_variants(
    model: GenolmModel,
    tokenizer: PreTrainedTokenizerBase,
    variants: Iterable[Variant] | str | Path,
    fasta: Fasta | str | Path,
    scores: Sequence[str] = (),
    *,
    window: int | None = None,
    layer: int | None = None,
    batch_size: BatchSize = "auto",
    device: str | torch.device | None = None,
    fast: bool = False,
    annotation: str | Path | None = None,
    genetic_code: int = 1,
    calibration: Calibration | str | Path | None = None,
) -> Iterator[AlleleScore]:
    """Return the scores of variants, in their order, one per ALT allele.

    Args:
        model: A language model, a classifier or a regressor.
        tokenizer: Its tokenizer.
        variants: Variants, or the path of a VCF.
        fasta: The reference genome.
        scores: Names from ``NAMES``: llr, llr_strands, wild_type, screen, dist, dist_cosine,
            dist_site, dist_site_cosine, delta, effect. None of them means llr of a language model,
            delta of a classifier and effect of a model that was fine-tuned on variants. What was
            not asked for is None.
        window: Bases in all; default the training length saved in the config, else the smaller of
            1024 and the model's maximum minus 2.
        layer: Hidden states that distances are taken between; None is the final normed ones.
        batch_size: Windows a batch, or "auto".
        device: Where to run; default where the model is.
        fast: Whether likelihood ratios may be off by an error that is measured first, on this
            model and genome, for speed.
        annotation: GFF3, GTF or GenBank whose transcripts give a consequence.
        genetic_code: NCBI's number of the genetic code where the annotation does not say.
        calibration: Adds to ``values`` the percentile of every number, as ``GENOLM_LLR_PCT``: what
            ``calibrate`` returned or its saved file, or a background as ``calibrate`` takes it.

    Returns:
        An iterator; variants are read as it is gone through.

    Raises:
        UsageError: An unknown score, a window that does not fit, a missing file.
        InputError: The content of a file is wrong, or the calibration does not belong to the model.
    """
    check_scores(scores)
    if device is not None:
        model.to(torch.device(device))  # type: ignore[arg-type]  # the stub knows tensors only
    opened = fasta if isinstance(fasta, Fasta) else Fasta(fasta)
    scorer = VariantScorer(
        model,
        tokenizer,
        opened,
        scores=scores,
        window=window,
        layer=layer,
        batch_size=batch_size,
        fast=FastStore() if fast else None,
    )
    if calibration is not None:
        add_calibration(calibration, model, scorer, opened, layer)
    lengths: dict[str, int] = {}
    if isinstance(variants, str | Path):
        reader = open_vcf(variants)
        lengths = reader.contig_lengths
        variants = _variants(reader)
    sites = SiteReader(scorer.genome, ContigResolver(opened.contigs, lengths), scorer.window)
    column = None
    if annotation is not None:
        column = ConsequenceColumn(annotation, opened, code=genetic_code)
    return _score(scorer, sites, variants, column)


def _variants(reader: VcfReader) -> Iterator[Variant]:
    with reader:
        for record in reader:
            for alt in record.alts:
                yield Variant(record.chrom, record.start, record.ref, alt or ".")


def _score(
    scorer: VariantScorer,
    sites: SiteReader,
    variants: Iterable[Variant],
    column: ConsequenceColumn | None,
) -> Iterator[AlleleScore]:
    remaining = iter(variants)
    while chunk := list(itertools.islice(remaining, CHUNK)):
        alleles = [sites.read(v.chrom, v.start, v.ref, (v.alt,)).alleles[0] for v in chunk]
        results = scorer.score(alleles)
        if column is not None:
            results = column.add(alleles, results)
        for variant, result in zip(chunk, results, strict=True):
            if isinstance(result, str):
                yield AlleleScore(variant, skip=result)
                continue
            yield AlleleScore(
                variant,
                llr=result.get("llr"),
                llr_fwd=result.get("llr_fwd"),
                llr_rev=result.get("llr_rev"),
                values={
                    one.name: result[one.key] for one in scorer.all_fields if one.key in result
                },
                consequence=CONSEQUENCE.text(result),
                gene=GENE.text(result),
            )
