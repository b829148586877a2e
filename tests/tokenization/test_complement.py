import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genolm.tokenization import complement_map, encode, reverse_complement_ids


@given(st.text(alphabet="ACGTN", max_size=50))
def test_ids_of_the_reversed_complemented_letters(text):
    expected = encode(text.translate(str.maketrans("ACGT", "TGCA"))[::-1]).ids
    np.testing.assert_array_equal(reverse_complement_ids(encode(text).ids), expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_only_the_last_axis_is_reversed_and_the_dtype_stays(dtype):
    ids = np.array([[7, 8, 4], [3, 11, 10]], dtype=dtype)
    result = reverse_complement_ids(ids)
    assert result.dtype == dtype
    assert result.tolist() == [[4, 9, 10], [7, 11, 3]]


@given(st.lists(st.integers(0, 15), max_size=20))
def test_twice_is_the_identity(ids):
    array = np.array(ids, dtype=np.uint8)
    np.testing.assert_array_equal(reverse_complement_ids(reverse_complement_ids(array)), array)


def test_padding_rows_are_their_own_complement():
    assert complement_map(16)[11:] == (11, 12, 13, 14, 15)


def test_a_map_smaller_than_the_vocabulary_is_refused():
    with pytest.raises(ValueError, match="smaller than the vocabulary"):
        complement_map(8)
