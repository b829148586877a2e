"""Draws look random, and depend on nothing but what they are asked with."""

import numpy as np
import pytest

from genolm.data.randomness import (
    coin_flips,
    permutation,
    random_words,
    sample_keys,
    shifts,
)

MANY = np.arange(40_000)


def test_the_numbers_never_change():
    # SplitMix64's published first outputs from the state 1234567.
    words = random_words(np.array([1234567], dtype=np.uint64), 3)[0]
    assert words.tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert permutation(2222, 3, 8).tolist() == permutation(2222, 3, 8).tolist()


def test_a_key_is_the_same_alone_and_in_a_batch():
    batch = sample_keys(5, 2, np.array([0, 0, 7]), np.array([1, 2, 1]))
    alone = [sample_keys(5, 2, e, np.array([s]))[0] for e, s in [(0, 1), (0, 2), (7, 1)]]
    assert batch.tolist() == alone
    assert len(set(alone)) == 3


@pytest.mark.parametrize("changed", [(6, 2, 0), (5, 3, 0), (5, 2, 1)])
def test_seed_stream_and_epoch_each_give_other_words(changed):
    one = random_words(sample_keys(5, 2, 0, MANY[:500]), 8)
    other = random_words(sample_keys(*changed, MANY[:500]), 8)
    bits = np.unpackbits((one ^ other).view(np.uint8)).mean()
    assert abs(bits - 0.5) < 0.003


def test_every_bit_is_fair_and_words_do_not_repeat():
    words = random_words(sample_keys(0, 4, 0, MANY[:100]), 1000)
    assert len(np.unique(words)) == words.size
    ones = np.array([((words >> np.uint64(b)) & np.uint64(1)).mean() for b in range(64)])
    assert np.abs(ones - 0.5).max() < 0.01


def test_negative_and_huge_seeds_are_seeds():
    seeds = (-1, 0, 1, 2**64 + 5)
    assert len({int(sample_keys(s, 1, 0, np.zeros(1))[0]) for s in seeds}) == 4


def test_half_of_the_coins_are_heads():
    assert abs(coin_flips(1, 0, MANY).mean() - 0.5) < 0.01


def test_shifts_are_uniform_within_the_limit():
    counts = np.bincount(shifts(3, 2, MANY, 2) + 2, minlength=5)
    assert len(counts) == 5
    assert np.abs(counts / len(MANY) - 0.2).max() < 0.01


def test_an_epoch_visits_every_window_once_in_its_own_order():
    first, second = permutation(1, 0, 500), permutation(1, 1, 500)
    assert sorted(first) == sorted(second) == list(range(500))
    assert (first != second).mean() > 0.9
