"""The byte table against a rule written letter by letter."""

import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genolm.errors import InputError
from genolm.tokenization import EncodingCounts, decode, encode

LETTERS = "ACGTUNRYSWKMBDHV"
ALLOWED = LETTERS + LETTERS.lower()


def id_by_rule(letter):
    upper = letter.upper()
    return {"A": 7, "C": 8, "G": 9, "T": 10, "U": 10}.get(upper, 11)


@given(st.text(alphabet=ALLOWED, max_size=300))
def test_ids_counts_and_repeat_mask_follow_the_stated_rule(text):
    encoded = encode(text, repeat_mask=True)
    assert encoded.ids.dtype == np.uint8
    assert encoded.ids.tolist() == [id_by_rule(c) for c in text]
    assert encoded.repeat_mask.tolist() == [c.islower() for c in text]
    assert encoded.counts == EncodingCounts(
        ambiguous=sum(c in "RYSWKMBDHV" for c in text.upper()),
        uracil=text.upper().count("U"),
        soft_masked=sum(c.islower() for c in text),
        n=text.upper().count("N"),
    )


@given(st.text(alphabet="ACGTNacgtn", max_size=100))
def test_decode_gives_the_upper_case_letters_back(text):
    assert decode(encode(text).ids) == text.upper()


@pytest.mark.parametrize("kind", [str, str.encode, lambda s: np.frombuffer(s.encode(), np.uint8)])
def test_text_bytes_and_arrays_are_read_alike(kind):
    assert encode(kind("ACGTNrU")).ids.tolist() == [7, 8, 9, 10, 11, 11, 10]


@pytest.mark.parametrize("code", [b for b in range(256) if chr(b) not in ALLOWED])
def test_every_other_byte_is_an_error_that_states_its_place(code):
    with pytest.raises(
        InputError, match=r"^genome\.fa chrI: byte 0x.. .* at position 3 "
    ) as caught:
        encode(b"AC" + bytes([code]) + b"G", source="genome.fa chrI")
    assert f"0x{code:02X}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_letter_beyond_one_byte_is_an_error_that_states_its_place():
    with pytest.raises(InputError, match=r"'Ł' at position 4 \(counted from 1\)"):
        encode("ACGŁ")


def test_counting_does_not_stop_at_a_chunk_border():
    text = b"a" + b"C" * ((1 << 20) - 2) + b"nRuN"
    assert encode(text).counts == EncodingCounts(ambiguous=1, uracil=1, soft_masked=3, n=2)


def test_repeat_mask_is_absent_unless_asked_for():
    assert encode("acgt").repeat_mask is None


def test_empty_sequence_has_no_ids():
    assert encode("", repeat_mask=True).ids.shape == (0,)


def test_arrays_of_another_type_are_refused():
    with pytest.raises(ValueError, match="expected uint8"):
        encode(np.zeros(3, dtype=np.int64))


def test_decode_refuses_special_tokens():
    with pytest.raises(ValueError, match="ids 7 to 11 are bases"):
        decode(np.array([7, 4, 8]))


def test_counts_add_up_field_by_field():
    assert EncodingCounts(1, 2, 3, 4) + EncodingCounts(n=1, uracil=1) == EncodingCounts(1, 3, 3, 5)


def test_hundred_million_bases_per_second():
    letters = np.frombuffer(b"ACGTacgtNn", dtype=np.uint8)
    text = np.tile(letters, 1_000_000)
    best = np.inf
    for _ in range(5):
        start = time.process_time()
        encode(text)
        best = min(best, time.process_time() - start)
    assert len(text) / best > 100e6


def test_byte_path_imports_neither_transformers_nor_torch():
    code = (
        "import sys, genolm.tokenization, genolm.tokenization.encode,"
        " genolm.tokenization.complement, genolm.tokenization.vocabulary;"
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
