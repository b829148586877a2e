import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from genolm.scoring.fields import fields_of, format_score, ratio


def test_scores_fill_their_fields_once():
    names = [field.name for field in fields_of(["llr", "llr_strands", "llr"])]
    assert names == ["GENOLM_LLR", "GENOLM_LLR_FWD", "GENOLM_LLR_REV"]


def test_descriptions_state_the_sign():
    for field in fields_of(["llr", "llr_strands"]):
        assert "ALT minus REF" in field.description
        assert "negative = the model finds ALT less likely" in field.description


def test_a_field_takes_its_number_and_nothing_from_a_reason():
    llr, forward, reverse = fields_of(["llr", "llr_strands"])
    both = ratio(1.0, 2.0)
    assert (llr.value(both), forward.value(both), reverse.value(both)) == (1.5, 1.0, 2.0)
    assert llr.value("star") is None


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_text_reads_back_to_the_same_float32(value):
    assert np.float32(format_score(value)) == np.float32(value)
