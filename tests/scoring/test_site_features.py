from pathlib import Path

import numpy as np
import pytest
import torch

from genolm.errors import UsageError
from genolm.genome.edits import Edit
from genolm.genome.sequence import reverse_complement
from genolm.scoring.site_features import SITE_WINDOW, SiteFeatures, site_means
from genolm.tokenization.encode import encode

GOLDEN = Path(__file__).parents[1] / "fixtures" / "golden" / "vep_window.npz"


def test_the_means_are_those_of_the_original_protocol():
    golden = np.load(GOLDEN)
    assert int(golden["window_bp"]) + 1 == SITE_WINDOW
    sites = golden["variant_idx"].tolist()
    assert sites == [1000, 3, 1999]  # inside, and at either end
    both = [
        site_means(torch.from_numpy(golden[name]).float(), sites, SITE_WINDOW).numpy()
        for name in ("ref", "alt")
    ]
    np.testing.assert_allclose(np.concatenate(both, axis=1), golden["concat_avg_ws"], atol=1e-7)


@pytest.mark.parametrize("positions", [1, 3, 9, 31])
def test_positions_outside_the_window_are_its_ends(positions):
    states = torch.from_numpy(np.random.default_rng(1).normal(size=(7, 7, 3)))
    found = site_means(states, list(range(7)), positions).numpy()
    half = positions // 2
    for site in range(7):
        wanted = np.clip(np.arange(site - half, site + half + 1), 0, 6)
        expected = states[site].numpy()[wanted].mean(axis=0)
        np.testing.assert_allclose(found[site], expected, rtol=1e-12)


def states_of(model, text, layer=None):
    ids = torch.from_numpy(encode(text).ids).long()[None]
    with torch.no_grad():
        output = model.base_model(ids, output_hidden_states=True)
    states = output.last_hidden_state if layer is None else output.hidden_states[layer]
    return states[0].double().numpy()


def feature_of(model, text, site, positions, layer=None, *, reverse=False):
    """From the definition: the states of one window, averaged around the site."""
    states = states_of(model, reverse_complement(text) if reverse else text, layer)
    if reverse:
        states = states[::-1]
    if getattr(model.config, "rcps", False):
        width = states.shape[1] // 2
        states = (states[:, :width] + states[:, width:][:, ::-1]) / 2
    half = positions // 2
    wanted = np.clip(np.arange(site - half, site + half + 1), 0, len(states) - 1)
    return states[wanted].mean(axis=0)


EDITS = [
    Edit("chr1", 50, "A", "C"),
    Edit("chr1", 50, "A", "G"),
    Edit("chr1", 200, "", "ACG"),
    Edit("chr1", 300, "ACGT", ""),
    Edit("chr1", 2, "A", "T"),
    Edit("chrM", 119, "A", "T"),
]


def windows_of(contigs, edit, size):
    """REF and ALT windows as text, and where the edit stands in each."""
    bases = contigs[edit.contig].upper()
    changed = bases[: edit.start] + edit.alt + bases[edit.start + len(edit.ref) :]
    centred = edit.start + edit.size // 2 - size // 2
    for text in (bases, changed):
        start = min(max(centred, 0), len(text) - size)
        yield text[start : start + size], edit.start - start


@pytest.fixture
def edits(contigs):
    found = []
    for one in EDITS:
        bases = contigs[one.contig].upper()
        ref = bases[one.start : one.start + len(one.ref)]
        alt = one.alt.replace(ref, "C" if ref == "T" else "T") if len(ref) == 1 else one.alt
        found.append(Edit(one.contig, one.start, ref, alt))
    return found


@pytest.mark.parametrize("name", ["ps", "ph", "mamba", "hyena", "classifier"])
@pytest.mark.parametrize("positions", [5, 61])
def test_a_feature_is_the_mean_around_the_site_of_ref_and_of_alt(
    models, genome, contigs, edits, window_size, name, positions
):
    model = models[name]
    features = SiteFeatures(model, genome, window_size, site_window=positions)
    found = features.compute(edits)
    assert found.dtype == np.float32
    assert found.shape == (len(edits), features.width)
    for row, edit in zip(found, edits, strict=True):
        expected = [
            feature_of(model, text, site, positions)
            for text, site in windows_of(contigs, edit, window_size)
        ]
        np.testing.assert_allclose(row, np.concatenate(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["ph", "hyena"])
def test_both_strands_are_averaged_in_the_forward_order(
    models, genome, contigs, edits, window_size, name
):
    model = models[name]
    features = SiteFeatures(model, genome, window_size, site_window=7, both_strands=True)
    for row, edit in zip(features.compute(edits), edits, strict=True):
        expected = [
            (feature_of(model, *one, 7) + feature_of(model, *one, 7, reverse=True)) / 2
            for one in windows_of(contigs, edit, window_size)
        ]
        np.testing.assert_allclose(row, np.concatenate(expected), rtol=1e-5, atol=1e-6)


def test_an_equivariant_model_says_the_same_of_the_other_strand(
    models, make_genome, contigs, window_size
):
    bases = contigs["chr1"].upper()
    there, back = make_genome({"1": bases}), make_genome({"1": reverse_complement(bases)})
    # The window has a middle base only where its length is odd.
    size = window_size + 1
    one = SiteFeatures(models["ps"], there, size, site_window=9)
    other = SiteFeatures(models["ps"], back, size, site_window=9)
    ref = bases[120]
    alt = "ACGT".replace(ref, "")[0]
    forward = one.compute([Edit("1", 120, ref, alt)])
    reverse = other.compute(
        [Edit("1", len(bases) - 121, reverse_complement(ref), reverse_complement(alt))]
    )
    np.testing.assert_allclose(forward, reverse, rtol=1e-5, atol=1e-6)


def test_layers_batches_order_and_neighbours(models, genome, contigs, edits, window_size):
    model = models["ps"]
    whole = SiteFeatures(model, genome, window_size, site_window=9).compute(edits)
    single = SiteFeatures(model, genome, window_size, site_window=9, batch_size=1)
    np.testing.assert_allclose(single.compute(edits[::-1])[::-1], whole, rtol=1e-6, atol=1e-7)
    alone = np.concatenate([single.compute([edit]) for edit in edits])
    np.testing.assert_allclose(alone, whole, rtol=1e-6, atol=1e-7)
    layered = SiteFeatures(model, genome, window_size, site_window=9, layer=1).compute(edits[:1])
    expected = [
        feature_of(model, text, site, 9, layer=1)
        for text, site in windows_of(contigs, edits[0], window_size)
    ]
    np.testing.assert_allclose(layered[0], np.concatenate(expected), rtol=1e-5, atol=1e-6)


def test_reasons_have_rows_of_nan(models, genome, edits, window_size):
    features = SiteFeatures(models["mamba"], genome, window_size)
    found = features.compute(["star", edits[0], "symbolic"])
    assert np.isnan(found).all(axis=1).tolist() == [True, False, True]
    assert np.isfinite(found[1]).all()
    assert features.compute([]).shape == (0, features.width)


@pytest.mark.parametrize("positions", [0, 2, 1536, -1])
def test_a_site_window_has_a_middle(models, genome, window_size, positions):
    with pytest.raises(UsageError, match=f"--site-window {positions}: an odd number"):
        SiteFeatures(models["mamba"], genome, window_size, site_window=positions)
