"""The k-mer term: what it counts, what it says, and what it hides while training."""

import numpy as np
import pytest
import torch

from genolm.heads.kmers import FOLDS, HIDDEN, KmerTerm

COMPLEMENT = torch.tensor([0, 1, 2, 3, 4, 5, 6, 10, 9, 8, 7, 11])


@pytest.fixture
def ids():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(7, 11, (40, 30), generator=generator)


def term_of(labels=3, *, longest=4, both=False):
    term = KmerTerm(longest, labels, both=both).double().eval()
    generator = torch.Generator().manual_seed(1)

    def draw(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    rarity = draw(term.features).abs() + 1
    term.set_regressions(rarity, draw(1 + FOLDS, term.features, labels), draw(1 + FOLDS, labels))
    return term


def words_of(sequence, sizes):
    """Count one by one, in the order of the term's features."""
    counts = []
    for size in sizes:
        found = np.zeros(4**size, dtype=int)
        for start in range(len(sequence) - size + 1):
            word = sequence[start : start + size]
            if set(word) <= set("ACGT"):
                found[int("".join(str("ACGT".index(base)) for base in word), 4)] += 1
        counts.append(found)
    return np.concatenate(counts)


def test_words_of_three_lengths_are_counted_and_those_with_other_letters_are_not():
    letters = dict(zip("ACGTN", (7, 8, 9, 10, 11), strict=True)) | {".": 4}
    for sequence in ("ACGTNACGGT..", "..NNACGTTT", "ACG", "AC", "NNNN", "GGGGGGGG"):
        given = torch.tensor([[letters[letter] for letter in sequence]])
        counted = KmerTerm(4, 1, both=False).count(given)[0]
        assert counted.tolist() == words_of(sequence, (2, 3, 4)).tolist(), sequence


@pytest.mark.parametrize(("longest", "sizes"), [(1, (1,)), (2, (1, 2)), (6, (4, 5, 6))])
def test_the_longest_words_say_which_are_counted(longest, sizes):
    term = KmerTerm(longest, 1, both=False)
    assert term.sizes == sizes
    assert term.features == sum(4**size for size in sizes)


def test_padding_says_nothing(ids):
    padded = torch.nn.functional.pad(ids, (5, 9), value=4)
    term = term_of()
    torch.testing.assert_close(term(padded), term(ids), rtol=0, atol=0)


def test_both_strands_say_the_same_if_both_count_and_are_in_one_fold(ids):
    other = COMPLEMENT[ids.flip(1)]
    for both in (True, False):
        term = term_of(both=both)
        same = torch.allclose(term(ids), term(other), rtol=1e-12)
        assert same == both
        if both:
            assert term.fold(term.count(ids)).equal(term.fold(term.count(other)))


def test_a_sequence_of_no_words_gets_the_bias():
    term = term_of()
    assert term(torch.full((2, 9), 11)).equal(term.bias.expand(2, -1))


def test_folds_hold_their_share_and_copies_stay_together(ids):
    term = term_of()
    fold = term.fold(term.count(torch.cat([ids, ids])))
    assert fold[:40].equal(fold[40:])
    many = torch.randint(7, 11, (2000, 60), generator=torch.Generator().manual_seed(3))
    shares = torch.bincount(term.fold(term.count(many)), minlength=FOLDS) / 2000
    assert shares.sub(1 / FOLDS).abs().max() < 0.04


def test_training_shows_the_regression_that_did_not_see_the_row_or_nothing(ids):
    term = term_of()
    counts = term.count(ids)
    features, fold = term.weigh(counts), term.fold(counts)
    wanted = torch.stack(
        [
            row @ term.fold_weights[k] + term.fold_biases[k]
            for row, k in zip(features, fold, strict=True)
        ]
    )
    torch.manual_seed(0)
    shown = term.train()(ids)
    hidden = (shown == 0).all(dim=1)
    assert 0 < hidden.sum() < len(ids)
    torch.testing.assert_close(shown[~hidden], wanted[~hidden])
    many = ids.repeat(100, 1)
    assert abs((term(many) == 0).all(dim=1).double().mean() - HIDDEN) < 0.05


def test_a_fresh_term_says_nothing_and_keeps_no_fold(ids):
    term = KmerTerm(4, 3, both=True)
    assert term(ids).count_nonzero() == 0
    assert sorted(term.state_dict()) == ["bias", "rarity", "weight"]
    assert term.learned == term.features * 3 + 3


def test_all_regressions_go_where_the_model_goes():
    term = KmerTerm(4, 3, both=False)
    zeros = torch.zeros(1 + FOLDS, term.features, 3), torch.zeros(1 + FOLDS, 3)
    term.set_regressions(torch.ones(term.features), *zeros)
    moved = term.to("meta")
    assert moved.fold_weights.is_meta
    assert moved.fold_biases.is_meta
    assert sorted(term.state_dict()) == ["bias", "rarity", "weight"]
