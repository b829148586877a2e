import numpy as np
import pytest
import torch

from genolm.errors import InputError, UsageError
from genolm.genome.sequence import reverse_complement
from genolm.scoring.embeddings import POOLS, SequenceEmbedder
from genolm.tokenization.encode import encode

NAMES = ["ps", "ph", "mamba", "hyena", "classifier"]
SEQUENCES = ["ACGTTGCA", "GGG", "TTTTACGNACGT", "ACGTTGCA", "gattaca", "A"]


def states_of(model, text, layer=None):
    """Straight from the backbone: (length, channels) in float64."""
    ids = torch.from_numpy(encode(text).ids).long()[None]
    with torch.no_grad():
        output = model.base_model(ids, output_hidden_states=True)
    found = output.last_hidden_state if layer is None else output.hidden_states[layer]
    return found[0].numpy()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pool", POOLS)
def test_an_embedding_does_not_depend_on_its_neighbours(models, name, pool):
    alone = SequenceEmbedder(models[name], pool=pool, batch_size=1)
    together = SequenceEmbedder(models[name], pool=pool, batch_size=5)
    expected = {text: alone.embed([text])[0] for text in SEQUENCES}
    for order in (SEQUENCES, SEQUENCES[::-1]):
        for text, found in zip(order, together.embed(order), strict=True):
            assert found.dtype == np.float32
            assert found.shape == (len(text) if pool == "none" else 1, together.width)
            np.testing.assert_allclose(found, expected[text], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["ph", "mamba", "hyena", "classifier"])
@pytest.mark.parametrize("layer", [None, 0, 1, -1])
def test_every_base_has_the_backbones_own_states(models, name, layer):
    text = "ACGTTGCATGCA"
    [found] = SequenceEmbedder(models[name], layer=layer, pool="none").embed([text])
    np.testing.assert_allclose(found, states_of(models[name], text, layer), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("pool", "reduce"),
    [
        ("mean", lambda states: states.mean(0)),
        ("max", lambda states: states.max(0)),
        ("first", lambda states: states[0]),
        ("last", lambda states: states[-1]),
    ],
)
def test_pooling_is_over_the_bases_of_the_sequence(models, pool, reduce):
    text = "ACGTTGCATGCA"
    [found] = SequenceEmbedder(models["mamba"], pool=pool).embed([text])
    expected = reduce(states_of(models["mamba"], text))
    np.testing.assert_allclose(found[0], expected, rtol=1e-5, atol=1e-6)


def test_equivariant_models_embed_both_strands_alike(models):
    text = "ACGTTGCATGGATC"
    other = reverse_complement(text)
    for pool in ("mean", "max"):
        here, there = SequenceEmbedder(models["ps"], pool=pool).embed([text, other])
        np.testing.assert_allclose(here, there, rtol=1e-5, atol=1e-6)
    here, there = SequenceEmbedder(models["ps"], pool="none").embed([text, other])
    assert here.shape == (14, 16)
    np.testing.assert_allclose(here, there[::-1], rtol=1e-5, atol=1e-6)
    assert not np.allclose(here, there, atol=1e-3)


def test_case_is_folded(models):
    upper, lower = SequenceEmbedder(models["hyena"]).embed(["ACGTTGA", "acgttga"])
    np.testing.assert_array_equal(upper, lower)


def test_the_longest_sequence_that_a_model_reads_is_embedded_and_no_longer_one(models):
    embedder = SequenceEmbedder(models["hyena"])
    assert embedder.length == 66
    assert embedder.embed(["A" * 66])[0].shape == (1, 16)
    with pytest.raises(InputError, match="67 bases: this model reads 66 at most"):
        embedder.embed(["A" * 67])


@pytest.mark.parametrize("layer", [3, -4, 100])
def test_a_layer_that_is_not_there_is_refused(models, layer):
    with pytest.raises(UsageError, match=rf"layer {layer}: this model has 3, 0 to 2"):
        SequenceEmbedder(models["mamba"], layer=layer)


def test_an_unknown_way_of_pooling_is_refused(models):
    with pytest.raises(UsageError, match="pool 'median': choose one of mean, max"):
        SequenceEmbedder(models["mamba"], pool="median")


def test_numbers_that_are_not_finite_are_not_passed_on(models, monkeypatch):
    embedder = SequenceEmbedder(models["mamba"])
    monkeypatch.setattr(embedder, "states", lambda ids: torch.full((*ids.shape, 16), torch.inf))
    with pytest.raises(ValueError, match="not finite"):
        embedder.embed(["ACGT"])


def test_no_sequences_give_no_embeddings(models):
    assert SequenceEmbedder(models["mamba"]).embed([]) == []
