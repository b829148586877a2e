import numpy as np
import pytest

from genolm.metrics import words
from genolm.metrics.words import count_words


def ids(text):
    return np.array([{"A": 7, "C": 8, "G": 9, "T": 10}.get(base, 11) for base in text], np.uint8)


def number(word):
    return int("".join(str("ACGT".index(base)) for base in word), 4)


def words_of(tables):
    """{word: count} over all levels."""
    found = {}
    for table in tables:
        width = (len(table).bit_length() - 1) // 2
        for code in np.flatnonzero(table):
            digits = np.base_repr(code, 4).zfill(width)
            found["".join("ACGT"[int(digit)] for digit in digits)] = int(table[code])
    return found


def test_leftmost_base_is_the_most_significant_digit():
    (table,) = count_words([ids("T")], None, 0, two_sided=False)
    assert table.tolist() == [0, 0, 0, 1]
    tables = count_words([ids("CAT")], None, 2, two_sided=False)
    assert tables[2][number("CAT")] == 1


def test_each_base_is_counted_once_with_all_the_left_context_it_has():
    tables = count_words([ids("ACGTN" + "TT")], None, 2, two_sided=False)
    assert words_of(tables) == {"A": 1, "AC": 1, "ACG": 1, "CGT": 1, "T": 1, "TT": 1}


def test_two_sided_words_take_the_widest_symmetric_context():
    tables = count_words([ids("ACGTC" + "N" + "GA")], None, 2, two_sided=True)
    assert words_of(tables) == {"A": 2, "ACG": 1, "ACGTC": 1, "GTC": 1, "C": 1, "G": 1}


def test_targets_choose_what_counts_and_the_rest_stays_context():
    chosen = np.array([False, False, True, False])
    tables = count_words([ids("ACGT")], [chosen], 2, two_sided=False)
    assert words_of(tables) == {"ACG": 1}


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("chunk", [1, 2, 7, 64])
def test_counts_do_not_depend_on_the_chunk_size(monkeypatch, two_sided, chunk):
    rng = np.random.default_rng(1)
    arrays = [rng.choice([7, 8, 9, 10, 11], p=[0.24] * 4 + [0.04], size=n) for n in (90, 1, 0, 33)]
    targets = [rng.random(len(array)) < 0.5 for array in arrays]
    whole = count_words(arrays, targets, 3, two_sided=two_sided)
    monkeypatch.setattr(words, "CHUNK", chunk)
    for expected, table in zip(
        whole, count_words(arrays, targets, 3, two_sided=two_sided), strict=True
    ):
        np.testing.assert_array_equal(table, expected)


def test_contexts_do_not_run_from_one_array_into_the_next():
    tables = count_words([ids("AC"), ids("GT")], None, 3, two_sided=False)
    assert words_of(tables) == {"A": 1, "AC": 1, "G": 1, "GT": 1}


def test_special_tokens_and_labels_to_ignore_are_no_bases():
    odd = np.array([7, 0, 6, 11, -100, 8])
    assert words_of(count_words([odd], None, 1, two_sided=False)) == {"A": 1, "C": 1}


def test_memory_mapped_arrays_count_as_arrays_in_memory(tmp_path):
    array = np.random.default_rng(2).integers(7, 12, size=500).astype(np.uint8)
    array.tofile(tmp_path / "ids")
    mapped = np.memmap(tmp_path / "ids", dtype=np.uint8, mode="r")
    expected = words_of(count_words([array], None, 3, two_sided=False))
    assert words_of(count_words([mapped], None, 3, two_sided=False)) == expected


def test_targets_must_fit_their_sequences():
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        count_words([ids("ACGT")], [np.ones(3, bool)], 1, two_sided=False)
    with pytest.raises(ValueError, match="shorter"):
        count_words([ids("A"), ids("C")], [np.ones(1, bool)], 1, two_sided=False)
