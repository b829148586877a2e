import numpy as np
import pytest

from genolm.errors import InputError
from genolm.scoring.embeddings import SequenceEmbedder
from genolm.scoring.layer_embeddings import LayerEmbedder

SEQUENCES = ["ACGTTGCA", "GGG", "TTTTACGNACGT", "gattaca", "A"]


@pytest.mark.parametrize("name", ["ps", "ph", "mamba", "hyena", "classifier"])
def test_every_layer_is_what_it_is_alone(models, name):
    embedder = LayerEmbedder(models[name])
    found = embedder.embed_layers(SEQUENCES)
    assert found.shape == (embedder.layers, len(SEQUENCES), embedder.width)
    for layer in (0, 1, None):
        alone = np.concatenate(SequenceEmbedder(models[name], layer=layer).embed(SEQUENCES))
        here = found[-1 if layer is None else layer]
        np.testing.assert_allclose(here, alone, rtol=1e-6, atol=1e-7)
    assert not np.allclose(found[-1], found[-2], atol=1e-3)  # no layer stands there twice


def test_a_sequence_too_long_for_the_model_is_refused(models):
    with pytest.raises(InputError, match="reads 66 at most"):
        LayerEmbedder(models["hyena"]).embed_layers(["A" * 67])
