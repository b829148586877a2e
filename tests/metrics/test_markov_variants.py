import numpy as np
import pytest

from genolm.metrics.counts import learn_markov
from genolm.metrics.markov_variants import markov_log_ratios


@pytest.fixture
def genome():
    return np.random.default_rng(3).choice([7, 7, 7, 8, 9, 10], 5000).astype(np.uint8)


def complete_log_likelihood(table, ids, order):
    words = (ids.astype(int) - 7).tolist()
    return sum(
        table[int("".join(map(str, words[at - order : at + 1])), 4)]
        for at in range(order, len(words))
    )


@pytest.mark.parametrize("order", [0, 1, 3])
def test_the_ratio_is_the_difference_of_whole_sequence_likelihoods_on_both_strands(genome, order):
    table = learn_markov([genome], order)
    assert np.exp(table).reshape(-1, 4).sum(axis=1) == pytest.approx(1)
    place, alt = 200, 17 - genome[200]
    changed = genome[:400].copy()
    changed[place] = alt
    expected = np.mean(
        [
            complete_log_likelihood(table, one, order) - complete_log_likelihood(table, two, order)
            for one, two in (
                (changed, genome[:400]),
                (17 - changed[::-1], 17 - genome[:400][::-1]),
            )
        ]
    )
    windows = genome[None, place - order : place + order + 1]
    found = markov_log_ratios(table, windows, np.array([alt]))
    assert found == pytest.approx([expected], abs=1e-9)


def test_no_change_scores_zero_and_an_unknown_base_has_no_score(genome):
    table = learn_markov([genome], 2)
    windows = np.stack([genome[:5], genome[:5]])
    windows[1, 0] = 11
    scores = markov_log_ratios(table, windows, genome[[2, 2]])
    assert scores[0] == 0
    assert np.isnan(scores[1])


def test_windows_of_another_width_are_refused(genome):
    with pytest.raises(ValueError, match=r"must be \(variants, 5\) for order 2"):
        markov_log_ratios(learn_markov([genome], 2), genome[None, :7], genome[:1])
