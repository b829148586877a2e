import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

import genolm
from genolm.data.edit_windows import GenomeWindows
from genolm.errors import UsageError
from genolm.genome.edits import Edit
from genolm.genome.fasta import Fasta
from genolm.scoring.causal import CausalRatios
from genolm.scoring.first_order import Change, ChangedTile, TailRunner, TailSizes
from genolm.scoring.prefix import causal_runner
from genolm.scoring.screen import ScreenRatios, TiledTails, screen_sizes
from genolm.tokenization.encode import decode
from genolm.tokenization.vocabulary import A, C

TILE = 96
SIZES = TailSizes(window=TILE, span=24, spacing=4, exact=8)


def likelihood(model, ids):
    """Log-likelihood of a tile, N left out, in float64."""
    tokens = torch.from_numpy(ids.astype(np.int64))[None]
    with torch.no_grad():
        logs = torch.log_softmax(model(tokens).logits[0, :-1], dim=-1)
    taken = logs.gather(1, tokens[0, 1:, None])[:, 0].numpy()
    return taken[ids[1:] < 11].sum()


def changed(ids, change):
    other = ids.copy()
    other[change.first : change.first + len(change.ids)] = change.ids
    return other


def errors_of(model, sizes, tile):
    expected = [likelihood(model, changed(tile.ids, one)) for one in tile.changes]
    (found,) = TailRunner(model, sizes).run([tile])
    return found - (np.array(expected) - likelihood(model, tile.ids))


@pytest.fixture
def tile():
    """A tile with some N in which single As and pairs of them become C."""
    ids = np.random.default_rng(8).integers(7, 11, TILE).astype(np.uint8)
    ids[[3, 50, 90]] = 11
    places = [(first, np.full(1 + first % 2, C, dtype=np.uint8)) for first in (36, 39, 44, 53, 58)]
    for first, bases in places:
        ids[first : first + len(bases)] = A
    return ChangedTile(ids, [Change(*one) for one in places])


def test_an_edit_of_almost_nothing_is_scored_exactly(models, tile):
    model, moved = copy.deepcopy(models["mamba"]), []
    words = model.get_input_embeddings().weight
    drift = torch.randn(words.shape[1], dtype=words.dtype, generator=torch.manual_seed(0))
    with torch.no_grad():
        for step in (0.1, 0.01):
            words[C] = words[A] + step * drift
            moved.append(np.abs(errors_of(model, SIZES, tile)).max())
    assert moved[1] < 0.03 * moved[0]  # of second order: a hundredth for a tenth
    assert 1e-9 < moved[0] < 1e-2


def test_the_more_is_read_exactly_the_smaller_the_error(models, contigs, genome):
    ids = genome.ids("chr1", 100, 100 + TILE)
    changes = [
        Change(first, np.array([other], dtype=np.uint8))
        for first in range(36, 60)
        for other in range(7, 11)
        if other != ids[first]
    ]
    tile = ChangedTile(ids, changes)
    medians = [
        np.median(np.abs(errors_of(models["mamba"], TailSizes(TILE, 24, 4, exact), tile)))
        for exact in (4, 12, 28)
    ]
    assert medians[2] < 0.3 * medians[0]
    assert medians[2] < medians[1] < medians[0]


def test_tiles_and_changes_of_a_batch_do_not_touch_each_other(models, genome):
    tiles = [
        ChangedTile(
            genome.ids("chr1", start, start + TILE),
            [Change(first, np.array([7 + first % 4], dtype=np.uint8)) for first in places],
        )
        for start, places in ((10, [40, 41]), (90, []), (200, [36, 59, 47]))
    ]
    together = TailRunner(models["mamba"], SIZES).run(tiles)
    alone = [TailRunner(models["mamba"], SIZES, batch_size=1).run([tile])[0] for tile in tiles]
    assert [len(one) for one in together] == [2, 0, 3]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-11)


@pytest.mark.parametrize("window", [8, 31])
def test_a_screen_depends_on_no_neighbour_and_other_edits_are_scored_exactly(
    models, genome, contigs, window
):
    snvs = [
        Edit("chr1", start, ref, alt)
        for start in (0, 203, 399)
        for ref in contigs["chr1"][start].upper()
        for alt in "ACGT"
        if alt != ref
    ][::2]
    exact = [Edit("chr1", 200, "", "GA"), Edit("chr1", 60, contigs["chr1"][60:62], "")]
    screen = ScreenRatios(models["mamba"], genome, window)
    found = screen.score([*snvs, *exact])["screen"]
    alone = np.concatenate([screen.score([one])["screen"] for one in reversed(snvs)])
    np.testing.assert_allclose(found[: len(snvs)], alone[::-1], rtol=0, atol=1e-11)
    full = CausalRatios(causal_runner(models["mamba"]), genome, window).score(exact)["llr"]
    np.testing.assert_allclose(found[len(snvs) :], full, rtol=0, atol=1e-11)
    assert screen.score([])["screen"].shape == (0,)


def test_both_strands_are_read_from_their_own_ends(models, genome):
    tails = TiledTails(models["mamba"], genome, SIZES)
    start = genome.contigs["chr1"] // 2
    edits = [Edit("chr1", at, decode(genome.ids("chr1", at, at + 2)), "GT") for at in (start, 77)]
    for edit, ratios in zip(edits, tails.ratios(edits), strict=True):
        contig, begin = tails.place(edit)
        ids = genome.ids(contig, begin, begin + TILE)
        other = changed(ids, Change(edit.start - begin, np.array([9, 10], dtype=np.uint8)))
        for strand, ratio in enumerate(ratios):
            pair = (ids, other) if strand == 0 else (_mirror(ids), _mirror(other))
            expected = likelihood(models["mamba"], pair[1]) - likelihood(models["mamba"], pair[0])
            assert ratio == pytest.approx(expected, abs=0.3)


def _mirror(ids):
    return np.where(ids[::-1] < 11, 17 - ids[::-1], ids[::-1])


@pytest.mark.parametrize("name", ["hyena", "ph"])
def test_only_a_causal_mamba_is_screened_by(models, genome, name):
    with pytest.raises(UsageError, match="screen needs a causal Mamba"):
        ScreenRatios(models[name], genome, 32)


def test_sizes_fit_every_window():
    for window in range(8, 200):
        sizes = screen_sizes(window)
        for first in (sizes.before, window - 1 - sizes.before):
            assert 1 <= first < window - sizes.piece


@pytest.mark.slow
def test_a_trained_model_ranks_by_its_screen_as_by_its_ratios():
    model, _ = genolm.load("ecoli-mamba-d128")
    fasta = Fasta(Path(genolm.__file__).parent / "demo" / "data" / "ecoli536.fa.gz")
    genome = GenomeWindows(fasta)
    (contig,) = fasta.contigs
    edits = []
    for start in range(3_990_000, 3_990_064):
        ref = decode(genome.ids(contig, start, start + 1))
        edits += [Edit(contig, start, ref, alt) for alt in "ACGT" if alt != ref]
    exact = CausalRatios(causal_runner(model.eval()), genome, 512).score(edits)["llr"]
    found = ScreenRatios(model, genome, 512).score(edits)["screen"]
    assert spearmanr(found, exact).statistic > 0.98
    assert np.median(np.abs(found - exact)) < 0.1
