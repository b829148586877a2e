"""What a masked model sees and what it is asked."""

import numpy as np
import pytest

from genolm.data.masking import (
    IGNORED,
    Masking,
    hide_targets,
    mask_samples,
    mask_tokens,
    next_base_labels,
    sparse_evaluation_mask,
    training_words,
)
from genolm.tokenization.vocabulary import BASE_IDS, MASK, A, N

LENGTH = 2000


@pytest.fixture(scope="module")
def ids():
    return np.random.default_rng(0).integers(7, 12, (100, LENGTH)).astype(np.uint8)


@pytest.fixture(scope="module")
def words():
    batch = np.arange(100)
    return training_words(9, np.zeros_like(batch), batch, LENGTH)


@pytest.mark.parametrize(
    "masking", [Masking(), Masking(0.3, 1.0, 0.0), Masking(1.0, 0.0, 1.0), Masking(0.5, 0.25, 0.25)]
)
def test_rates_are_as_asked(ids, words, masking):
    inputs, labels = mask_tokens(ids, words, masking)
    targets = labels != IGNORED
    bases = ids != N
    assert abs(targets[bases].mean() - masking.rate) < 0.01
    assert abs((inputs[targets] == MASK).mean() - masking.mask_fraction) < 0.01
    changed = (inputs != ids) & (inputs != MASK)
    assert abs(changed[targets].mean() - 0.75 * masking.random_fraction) < 0.01
    assert set(inputs[changed].tolist()) <= set(BASE_IDS)


def test_only_targets_change_and_n_is_never_one(ids, words):
    inputs, labels = mask_tokens(ids, words, Masking(0.9, 0.5, 0.5))
    targets = labels != IGNORED
    np.testing.assert_array_equal(inputs[~targets], ids[~targets])
    np.testing.assert_array_equal(labels[targets], ids[targets])
    assert not targets[ids == N].any()
    assert (inputs.dtype, labels.dtype) == (np.uint8, np.int64)


def test_the_input_is_left_as_it_was(ids, words):
    before = ids.copy()
    mask_tokens(ids, words, Masking(1.0, 1.0, 0.0))
    np.testing.assert_array_equal(ids, before)


def test_random_bases_are_drawn_evenly():
    plain = np.full((50, LENGTH), 7, dtype=np.uint8)
    batch = np.arange(50)
    words = training_words(4, np.zeros_like(batch), batch, LENGTH)
    inputs, _ = mask_tokens(plain, words, Masking(1.0, 0.0, 1.0))
    shares = [(inputs == base).mean() for base in BASE_IDS]
    np.testing.assert_allclose(shares, 0.25, atol=0.01)


def test_a_mask_depends_on_its_own_sample_alone(ids, words):
    inputs, labels = mask_tokens(ids, words, Masking())
    one = training_words(9, np.array([0]), np.array([41]), LENGTH)
    alone, its_labels = mask_tokens(ids[41:42], one, Masking())
    np.testing.assert_array_equal(alone[0], inputs[41])
    np.testing.assert_array_equal(its_labels[0], labels[41])


@pytest.mark.parametrize(
    "rates", [(0.0, 0.8, 0.1), (1.1, 0.8, 0.1), (0.15, 0.8, 0.3), (0.15, -0.1, 0.1)]
)
def test_impossible_rates_are_refused(rates):
    with pytest.raises(ValueError, match=r"between 0 and 1|exceed 1|nothing to learn"):
        Masking(*rates)


def test_evaluation_asks_for_one_base_in_32_on_average():
    chosen = sparse_evaluation_mask(LENGTH, 0, np.arange(200))
    assert chosen.shape == (200, LENGTH)
    assert abs(chosen.mean() * 32 - 1) < 0.03
    # Independent positions: neighbours are both chosen once in 32 * 32.
    assert abs((chosen[:, 1:] & chosen[:, :-1]).mean() * 1024 - 1) < 0.2


def test_evaluation_masks_are_fixed_by_seed_and_window():
    batch = sparse_evaluation_mask(500, 3, np.array([5, 6]))
    np.testing.assert_array_equal(batch[1], sparse_evaluation_mask(500, 3, 6))
    assert (batch[0] != batch[1]).any()
    assert (sparse_evaluation_mask(500, 4, 6) != batch[1]).any()
    assert sparse_evaluation_mask(500, 3, 6, one_in=1).all()


def test_a_longer_window_begins_with_the_mask_of_a_shorter_one():
    longer = sparse_evaluation_mask(64, 1, 2)
    np.testing.assert_array_equal(longer[:32], sparse_evaluation_mask(32, 1, 2))


def test_hidden_targets_are_always_masked_and_never_n(ids):
    inputs, labels = hide_targets(ids, sparse_evaluation_mask(LENGTH, 0, np.arange(100), 4))
    targets = labels != IGNORED
    assert (inputs[targets] == MASK).all()
    np.testing.assert_array_equal(inputs[~targets], ids[~targets])
    np.testing.assert_array_equal(labels[targets], ids[targets])
    assert not targets[ids == N].any()


def test_next_base_labels_are_the_bases_and_nothing_else():
    ids = np.array([[7, 11, 10, 4, 8, 3]], dtype=np.uint8)
    assert next_base_labels(ids).tolist() == [[7, -100, 10, -100, 8, -100]]


@pytest.mark.parametrize("span", [1, 3, 6])
def test_spans_are_hidden_whole_and_as_often_as_single_bases(span):
    rows, length = 400, 240
    ids = np.full((rows, length), A, dtype=np.uint8)
    words = training_words(5, np.zeros(rows, np.int64), np.arange(rows), length)
    _, labels = mask_tokens(
        ids, words, Masking(rate=0.2, mask_fraction=1, random_fraction=0, span=span)
    )
    targets = labels != IGNORED
    assert targets.mean() == pytest.approx(0.2, abs=0.012)
    offsets = set()
    for row in targets:
        edges = np.flatnonzero(np.diff(row.astype(int))) + 1
        offsets |= set((edges % span).tolist())
        # Within a row all spans begin at the same place modulo their length.
        assert len(set((edges % span).tolist())) <= 1
    assert offsets == set(range(span))


@pytest.mark.parametrize(
    "masking",
    [Masking(), Masking(0.3, 1.0, 0.0), Masking(0.7, 0.0, 1.0), Masking(1.0, 0.5, 0.5)],
    ids=["paper", "plain", "random", "all"],
)
def test_every_position_is_decided_by_its_own_word(ids, words, masking):
    inputs, labels = mask_tokens(ids[:2, :500], words[:2, :500], masking)
    for row in range(2):
        for place in range(500):
            word, true = int(words[row, place]), int(ids[row, place])
            action = (word >> 8) % 2**24 / 2**24
            expected = (true, IGNORED)
            if (word >> 32) / 2**32 < masking.rate and true != N:
                shown = true
                if action < masking.mask_fraction:
                    shown = MASK
                elif action < masking.mask_fraction + masking.random_fraction:
                    shown = A + word % 4
                expected = (shown, true)
            assert (inputs[row, place], labels[row, place]) == expected


@pytest.mark.parametrize("span", [1, 5])
def test_a_large_batch_is_masked_as_its_rows_are(span):
    # More than is done at once.
    many = np.random.default_rng(1).integers(7, 12, (21, 8192)).astype(np.uint8)
    epochs, samples = np.arange(21) // 9, np.arange(21) * 7
    masking = Masking(span=span)
    inputs, labels = mask_samples(many, 5, epochs, samples, masking)
    for row in range(21):
        one = slice(row, row + 1)
        alone = mask_samples(many[one], 5, epochs[one], samples[one], masking)
        np.testing.assert_array_equal(alone[0][0], inputs[row])
        np.testing.assert_array_equal(alone[1][0], labels[row])
