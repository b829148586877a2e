import numpy as np
import pytest

from genolm.genome.edits import Edit
from genolm.genome.sequence import reverse_complement
from genolm.scoring.likelihood import ModelRunner
from genolm.scoring.masked import FLANK, SPACING, MaskedRatios

BASES = "ACGT"


@pytest.fixture
def score(models, genome, window_size):
    def run(name, edits, genome=genome, **options):
        runner = ModelRunner(models[name], **options)
        equivariant = name == "ps"
        return MaskedRatios(runner, genome, window_size, equivariant=equivariant).ratios(edits)

    return run


def swap(base):
    return BASES[(BASES.index(base) + 1) % 4]


@pytest.mark.parametrize("name", ["ps", "ph"])
@pytest.mark.parametrize(
    ("contig", "start"), [("chr1", 200), ("chr1", 0), ("chr1", 399), ("chr2", 149), ("short", 3)]
)
def test_an_snv_scores_the_masked_marginal_of_both_strands(
    models, contigs, log_probabilities, window_text, window_size, score, name, contig, start
):
    text, begin = window_text(contig, start)
    ref, place = contigs[contig][start].upper(), start - begin
    forward = log_probabilities(models[name], text, [place])[place, 7:11]
    other = window_size - 1 - place
    reverse = log_probabilities(models[name], reverse_complement(text), [other])[other, 7:11]
    edits = [Edit(contig, start, ref, alt) for alt in BASES]
    expected = [
        (
            forward[BASES.index(alt)] - forward[BASES.index(ref)],
            reverse[3 - BASES.index(alt)] - reverse[3 - BASES.index(ref)],
        )
        for alt in BASES
    ]
    np.testing.assert_allclose(score(name, edits), expected, atol=1e-9)


def test_an_rc_equivariant_model_needs_one_pass_per_site_for_all_alleles(
    models, genome, window_size, monkeypatch
):
    runner = ModelRunner(models["ps"])
    ran = []
    masked = runner.masked
    monkeypatch.setattr(runner, "masked", lambda windows: ran.extend(windows) or masked(windows))
    edits = [Edit("chr1", 200, "A", alt) for alt in "CGT"] + [Edit("chr1", 201, "C", "G")] * 2
    MaskedRatios(runner, genome, window_size, equivariant=True).ratios(edits)
    assert len(ran) == 2


def test_both_strands_of_an_rc_equivariant_model_agree_without_the_shortcut(
    models, genome, contigs, window_size
):
    bases = contigs["chr1"].upper()
    edits = [
        Edit("chr1", 200, bases[200], swap(bases[200])),
        Edit("chr1", 210, bases[210:213], "".join(map(swap, bases[210:213]))),
        Edit("chr1", 220, bases[220:222], ""),
        Edit("chr1", 230, "", "GATT"),
    ]
    runner = ModelRunner(models["ps"])
    both = MaskedRatios(runner, genome, window_size, equivariant=False).ratios(edits)
    np.testing.assert_allclose(both[:, 0], both[:, 1], atol=1e-9)
    one = MaskedRatios(runner, genome, window_size, equivariant=True).ratios(edits)
    np.testing.assert_allclose(one, both, atol=1e-9)


def test_an_mnv_hides_the_bases_that_differ_together_and_no_others(
    models, contigs, log_probabilities, window_text, score
):
    bases = contigs["chr1"].upper()[240:243]
    alt = swap(bases[0]) + bases[1] + swap(bases[2])
    text, begin = window_text("chr1", 241)
    places = [240 - begin, 242 - begin]
    rows = log_probabilities(models["ph"], text, places)[:, 7:11]
    expected = sum(
        rows[place, BASES.index(new)] - rows[place, BASES.index(old)]
        for place, old, new in zip(places, bases[::2], alt[::2], strict=True)
    )
    found = score("ph", [Edit("chr1", 240, bases, alt)])
    assert found[0, 0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("ref_size", "alt"), [(2, ""), (0, "GAT"), (3, "TT"), (1, "ACCA")])
def test_an_indel_scores_the_pseudo_likelihood_around_it_in_both_windows(
    models, contigs, log_probabilities, window_size, score, ref_size, alt
):
    bases, start = contigs["chr1"].upper(), 250
    size = max(ref_size, len(alt))
    begin = start + size // 2 - window_size // 2
    edited = bases[:start] + alt + bases[start + ref_size :]

    def pseudo(text):
        first, last = start - begin - FLANK, start - begin + size + FLANK
        total = 0.0
        for offset in range(SPACING):
            places = [i for i in range(first + offset, last, SPACING) if 0 <= i < len(text)]
            rows = log_probabilities(models["ph"], text, places)[:, 7:11]
            total += sum(rows[i, BASES.index(text[i])] for i in places)
        return total

    windows = bases[begin : begin + window_size], edited[begin : begin + window_size]
    expected = pseudo(windows[1]) - pseudo(windows[0])
    found = score("ph", [Edit("chr1", start, bases[start : start + ref_size], alt)])
    assert found[0, 0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["ps", "ph"])
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


def test_no_change_scores_nothing(score):
    assert score("ps", [Edit("chr1", 200, "", "")]).tolist() == [[0.0, 0.0]]
    assert score("ps", []).shape == (0, 2)
