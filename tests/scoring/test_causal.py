import numpy as np
import pytest

from genolm.genome.edits import Edit
from genolm.genome.sequence import reverse_complement
from genolm.scoring.causal import CausalRatios
from genolm.scoring.likelihood import ModelRunner
from genolm.tokenization.encode import encode

NAMES = ["mamba", "hyena"]


@pytest.fixture
def score(models, genome, window_size):
    def run(name, edits, genome=genome):
        return CausalRatios(ModelRunner(models[name]), genome, window_size).ratios(edits)

    return run


@pytest.fixture
def likelihood(models, log_probabilities):
    """Log-likelihood of a whole text; N adds nothing."""

    def run(name, text):
        rows, ids = log_probabilities(models[name], text), encode(text).ids
        return sum(rows[i - 1, ids[i]] for i in range(1, len(text)) if text[i] != "N")

    return run


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("contig", "start"), [("chr1", 200), ("chr1", 1), ("chr1", 398), ("chr2", 148), ("short", 5)]
)
def test_an_snv_scores_the_likelihoods_of_whole_windows_on_both_strands(
    contigs, window_text, likelihood, score, name, contig, start
):
    text, begin = window_text(contig, start)
    ref, place = contigs[contig][start].upper(), start - begin
    edits = [Edit(contig, start, ref, alt) for alt in "ACGT" if alt != ref]
    changed = [text[:place] + edit.alt + text[place + 1 :] for edit in edits]
    expected = [
        (
            likelihood(name, alt) - likelihood(name, text),
            likelihood(name, reverse_complement(alt)) - likelihood(name, reverse_complement(text)),
        )
        for alt in changed
    ]
    np.testing.assert_allclose(score(name, edits), expected, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("start", "ref_size", "alt"),
    [(200, 3, ""), (200, 0, "GAT"), (200, 2, "TTTTT"), (200, 2, "GG"), (0, 3, ""), (394, 6, ""),
     (398, 2, "GATTACA"), (2, 0, "CCC")],
)  # fmt: skip
def test_an_indel_scores_equal_windows_that_grow_away_from_what_a_strand_reads_first(
    contigs, window_size, likelihood, score, name, start, ref_size, alt
):
    bases = contigs["chr1"].upper()
    edited = bases[:start] + alt + bases[start + ref_size :]
    size, grown = max(ref_size, len(alt)), len(alt) - ref_size
    centred = start + size // 2 - window_size // 2

    def cut(text, begin):
        begin = min(max(begin, 0), len(text) - window_size)
        return text[begin : begin + window_size]

    forward = likelihood(name, cut(edited, centred)) - likelihood(name, cut(bases, centred))
    ref_other = reverse_complement(cut(bases, centred - max(0, grown)))
    alt_other = reverse_complement(cut(edited, centred - max(0, -grown)))
    reverse = likelihood(name, alt_other) - likelihood(name, ref_other)
    found = score(name, [Edit("chr1", start, bases[start : start + ref_size], alt)])
    np.testing.assert_allclose(found, [[forward, reverse]], atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("start", "ref_size", "alt"),
    [(200, 1, "A"), (200, 3, "GTA"), (200, 2, ""), (200, 0, "CCA"), (3, 4, "A"), (395, 5, "")],
)
def test_swapping_ref_and_alt_negates(contigs, make_genome, score, name, start, ref_size, alt):
    bases = contigs["chr1"].upper()
    ref = bases[start : start + ref_size]
    edited = make_genome({"chr1": bases[:start] + alt + bases[start + ref_size :]})
    there = score(name, [Edit("chr1", start, ref, alt)])
    back = score(name, [Edit("chr1", start, alt, ref)], genome=edited)
    np.testing.assert_allclose(there, -back, atol=1e-9)
    assert np.abs(there).max() > 1e-3


def test_the_reference_window_of_a_site_is_read_once_a_strand(
    models, genome, contigs, window_size, monkeypatch
):
    runner = ModelRunner(models["mamba"])
    ran = []
    sequences = runner.sequences
    monkeypatch.setattr(runner, "sequences", lambda ws: ran.extend(ws) or sequences(ws))
    ref = contigs["chr1"][200].upper()
    edits = [Edit("chr1", 200, ref, alt) for alt in "ACGT" if alt != ref]
    CausalRatios(runner, genome, window_size).ratios(edits * 2)
    assert len(ran) == 2 * (1 + len(edits))


def test_no_edits_give_no_ratios(score):
    assert score("mamba", []).shape == (0, 2)
