import itertools

import numpy as np
import pytest

from genolm.errors import UsageError
from genolm.genome.interval import Interval
from genolm.genome.variant import Variant
from genolm.scoring.fields import SCORES, fields_of
from genolm.scoring.saturate import BASES, SiteScorer, Summary
from genolm.scoring.variants import score_variants

LANGUAGE_MODELS = ["ps", "ph", "mamba", "hyena"]
FIELDS = fields_of(["llr", "llr_strands"])
LLR = SCORES["llr"][0]
# Both ends of a contig, lower case, N, overlap, and a contig shorter than the window.
INTERVALS = [
    Interval("chr1", 0, 3),
    Interval("chr1", 198, 201),
    Interval("chr1", 397, 400),
    Interval("chr2", 147, 153),
    Interval("chr2", 148, 150, "-"),
    Interval("short", 18, 21),
]


@pytest.fixture
def scorer(models, tokenizers, fasta):
    def make(name, **options):
        return SiteScorer(models[name], tokenizers[name], fasta, **options)

    return make


@pytest.fixture
def positions_read(models, monkeypatch):
    """Count the positions that a model reads from here on."""

    def counting(method, read):
        def call(ids, *rest):
            read.append(ids.numel())
            return method(ids, *rest)

        return call

    def watch(name):
        model, read = models[name], []
        for one in ("forward", "remember", "resume"):
            if hasattr(model, one):
                monkeypatch.setattr(model, one, counting(getattr(model, one), read))
        return read

    return watch


def snvs_of(blocks):
    return [(block.chrom, *snv[:3]) for block in blocks for snv in block.snvs()]


def numbers_of(blocks, fields=FIELDS):
    return np.array(
        [[f.value(snv.result) for f in fields] for block in blocks for snv in block.snvs()]
    )


def test_a_base_has_three_snvs_and_n_has_none(scorer, contigs):
    blocks = list(scorer("ps").saturate(INTERVALS))
    expected = [
        (one.chrom, start, ref, alt)
        for one in INTERVALS
        for start, ref in enumerate(contigs[one.chrom].upper()[one.start : one.end], one.start)
        for alt in ("ACGT" if ref != "N" else "")
        if alt != ref
    ]
    assert snvs_of(blocks) == expected
    assert sum(block.unknown for block in blocks) == 3
    assert [block.number for block in blocks] == sorted(block.number for block in blocks)


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_every_number_is_that_of_the_snv_scored_by_itself(scorer, models, tokenizers, fasta, name):
    blocks = list(scorer(name).saturate(INTERVALS))
    variants = [Variant(*snv) for snv in snvs_of(blocks)]
    alone = [
        next(score_variants(models[name], tokenizers[name], [one], fasta, ("llr", "llr_strands")))
        for one in variants
    ]
    expected = np.array([[one.llr, one.llr_fwd, one.llr_rev] for one in alone])
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(numbers_of(blocks), expected, rtol=0, atol=1e-6)


# A plain Mamba reads on both strands 14 positions once, and the other 18 but the last four times.
READ = {"ps": 32, "ph": 2 * 32, "mamba": 2 * (14 + 4 * 17), "hyena": 2 * 4 * 32}


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("batch_size", [1, 4, "auto"])
def test_no_window_is_read_twice_wherever_batches_end(scorer, positions_read, name, batch_size):
    one = scorer(name, batch_size=batch_size)
    sites = 2 * one.sites_at_once + 5 if batch_size != "auto" else 40
    read = positions_read(name)
    blocks = list(one.saturate([Interval("chr1", 40, 40 + sites)]))
    assert sum(len(block.bases) for block in blocks) == sites
    assert sum(read) == READ[name] * sites


@pytest.mark.parametrize("name", ["ph", "mamba"])
def test_batches_and_the_division_into_intervals_change_no_number(scorer, name):
    whole = numbers_of(scorer(name).saturate([Interval("chr1", 90, 110)]))
    parts = [Interval("chr1", start, start + 1) for start in range(90, 110)]
    for size, intervals in itertools.product([1, 3], [[Interval("chr1", 90, 110)], parts]):
        found = numbers_of(scorer(name, batch_size=size).saturate(intervals))
        np.testing.assert_allclose(found, whole, rtol=0, atol=1e-6)


def test_intervals_are_read_as_they_are_needed(scorer):
    given = []

    def intervals():
        for start in range(400):
            given.append(start)
            yield Interval("chr1", start, start + 1)

    one = scorer("ps", batch_size=1)
    next(one.saturate(intervals()))
    assert len(given) <= one.sites_at_once < 400


def test_a_table_has_nan_at_the_reference_base_and_at_n(scorer, contigs):
    (block,) = scorer("ps").saturate([Interval("chr2", 140, 160)])
    table = block.scores(LLR)
    assert table.shape == (20, 4)
    for row, base in zip(table, contigs["chr2"][140:160].upper(), strict=True):
        known = {letter for letter, value in zip(BASES, row, strict=True) if not np.isnan(value)}
        assert known == (set(BASES) - {base} if base != "N" else set())
    assert table[~np.isnan(table)].tolist() == numbers_of([block], [LLR])[:, 0].tolist()


def test_progress_counts_snvs(scorer):
    done = []
    list(scorer("ps", batch_size=1).saturate([Interval("chr2", 140, 160)], done.append))
    assert sum(done) == 30
    assert len(done) > 1


def test_a_classifier_is_refused(scorer):
    with pytest.raises(UsageError, match="need a language model"):
        scorer("classifier")


def test_the_closing_line_counts_everything(scorer):
    summary = Summary()
    summary.skipped["contig_missing"] = 4
    for block in scorer("ps").saturate([Interval("chr2", 145, 155), Interval("chr1", 0, 1)]):
        summary.count(block)
    summary.seconds = 2.0
    assert summary.line() == (
        "6 sites, 18 SNVs scored, 9 bases skipped (contig_missing 4, non_acgt_ref 5) in 2.0 s"
        " (9.0 SNVs/s)"
    )
