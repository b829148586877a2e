import numpy as np
import pytest

from genolm.scoring.likelihood import MaskedWindow, ModelRunner, SequenceWindow
from genolm.tokenization.encode import encode

TEXTS = ["ACGTACGTAACCGGTT", "TTTTTTTTACGACGAC", "NNNNACGTNNACGTAC", "GATTACAGATTACAGA"]


def masked_windows():
    found = []
    for number, text in enumerate(TEXTS):
        positions = np.array([5, 7 + number])
        ids = encode(text).ids.copy()
        ids[positions] = 3
        found.append(MaskedWindow(ids, positions))
    return found


@pytest.mark.parametrize("name", ["ps", "ph"])
def test_masked_bases_have_the_models_own_log_probabilities(models, log_probabilities, name):
    found = ModelRunner(models[name], batch_size=3).masked(masked_windows())
    for text, window, rows in zip(TEXTS, masked_windows(), found, strict=True):
        expected = log_probabilities(models[name], text, window.positions)
        np.testing.assert_allclose(rows, expected[window.positions, 7:11], atol=1e-10)


@pytest.mark.parametrize("name", ["mamba", "hyena"])
@pytest.mark.parametrize("first", [0, 1, 6, 15])
def test_a_sequence_sums_what_the_model_says_of_every_base_and_nothing_of_n(
    models, log_probabilities, name, first
):
    windows = [SequenceWindow(encode(text).ids, first) for text in TEXTS]
    found = ModelRunner(models[name]).sequences(windows)
    for text, total in zip(TEXTS, found, strict=True):
        rows = log_probabilities(models[name], text)
        ids = encode(text).ids
        expected = sum(
            rows[i - 1, ids[i]] for i in range(max(1, first), len(text)) if text[i] != "N"
        )
        assert total == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["ps", "mamba"])
def test_numbers_do_not_depend_on_the_batch(models, name):
    whole, single = ModelRunner(models[name]), ModelRunner(models[name], batch_size=1)
    sequences = [SequenceWindow(encode(text).ids, 2 + n) for n, text in enumerate(TEXTS)]
    np.testing.assert_allclose(whole.sequences(sequences), single.sequences(sequences), atol=1e-10)
    for one, other in zip(
        whole.masked(masked_windows()), single.masked(masked_windows()), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-10)


def test_no_windows_give_no_numbers(models):
    assert ModelRunner(models["mamba"]).sequences([]).shape == (0,)
    assert ModelRunner(models["ps"]).masked([]) == []
