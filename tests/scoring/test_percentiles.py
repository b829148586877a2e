import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genolm.genome.edits import Edit
from genolm.scoring.fields import SCORES, ScoreField, delta_fields
from genolm.scoring.percentiles import FEWEST, SAME, Percentiles, Ranks, percentile_fields

LLR = SCORES["llr"]
STRANDS = SCORES["llr_strands"]
NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)


def test_a_mid_rank_by_hand():
    ranks = Ranks.of([4.0, 1.0, 2.0, 3.0, 3.0])
    assert ranks.percentile(0.5) == 0
    assert ranks.percentile(1.0) == 10  # half of one in five
    assert ranks.percentile(1.5) == 20
    assert ranks.percentile(3.0) == 60  # two below, half of two
    assert ranks.percentile(3.5) == 80
    assert ranks.percentile(9.0) == 100


@given(NUMBERS)
def test_the_background_itself_has_a_mean_of_50(scores):
    ranks = Ranks.of(scores)
    found = [ranks.percentile(score) for score in scores]
    assert sum(found) / len(found) == pytest.approx(50, abs=1e-6)


@given(NUMBERS, st.lists(st.floats(-2e6, 2e6), min_size=2, max_size=20))
def test_a_higher_score_never_has_a_lower_percentile(scores, asked):
    ranks = Ranks.of(scores)
    found = [ranks.percentile(score) for score in sorted(asked)]
    assert -1e-9 <= found[0] <= found[-1] <= 100 + 1e-9
    assert all(after >= before - 1e-9 for before, after in itertools.pairwise(found))


@given(st.permutations([0.1, 0.2, 0.2, 0.5, 0.9, 1.4, 7.0]))
def test_the_order_of_the_background_does_not_matter(scores):
    ranks = Ranks.of(scores)
    assert [ranks.percentile(x) for x in (0.1, 0.2, 0.7)] == pytest.approx(
        [100 * 0.5 / 7, 100 * 2 / 7, 100 * 4 / 7]
    )


def test_rounding_does_not_move_a_score_by_a_rank():
    """The spread is 50, so that 5e-3 is the same in part and 5e-6 is nothing."""
    ranks = Ranks.of([float(i) for i in range(100)])
    assert ranks.width == pytest.approx(50 * SAME)
    assert ranks.percentile(10.0) == pytest.approx(10.5)
    assert ranks.percentile(10.0 + 5e-6) == pytest.approx(10.5, abs=1e-3)
    assert ranks.percentile(10.0 - 5e-6) == pytest.approx(10.5, abs=1e-3)
    assert ranks.percentile(10.01) == 11


def test_equal_scores_are_shared_though_there_is_no_spread():
    ranks = Ranks.of([2.0] * 30)
    assert [ranks.percentile(x) for x in (1.9, 2.0, 2.1)] == [0, 50, 100]


def test_fields_are_called_after_the_scores():
    assert [one.name for one in percentile_fields(LLR)] == ["GENOLM_LLR_PCT"]
    clash = delta_fields(["x", "x_PCT"])
    names = [one.name for one in (*clash, *percentile_fields(clash))]
    assert len(set(names)) == 4


def test_a_strand_is_compared_with_the_same_strand_of_the_class(make_genome):
    """TCA read forwards and TGA read backwards are the same; so are their two strands."""
    ranks = {"T[C>T]A": Ranks.of(range(20))}
    others = {"T[C>T]A": Ranks.of(range(100, 120))}
    found = Percentiles(STRANDS, {"GENOLM_LLR_FWD": ranks, "GENOLM_LLR_REV": others})
    values = {"llr_fwd": 5.5, "llr_rev": 115.5}
    forward = found.of(make_genome({"a": "TCA"}), Edit("a", 1, "C", "T"), values)
    assert forward == {"llr_fwd_pct": 30, "llr_rev_pct": 80}
    turned = {"llr_fwd": 115.5, "llr_rev": 5.5}
    backward = found.of(make_genome({"a": "TGA"}), Edit("a", 1, "G", "A"), turned)
    assert backward == {"llr_fwd_pct": 80, "llr_rev_pct": 30}


def test_there_is_no_percentile_without_enough_of_a_class(make_genome):
    genome = make_genome({"a": "TCAGA"})
    edit, other = Edit("a", 1, "C", "T"), Edit("a", 1, "C", "G")
    ranks = {"T[C>T]A": Ranks.of(range(FEWEST)), "T[C>G]A": Ranks.of(range(FEWEST - 1))}
    found = Percentiles(LLR, {"GENOLM_LLR": ranks})
    assert found.of(genome, edit, {"llr": 0.0}) == {"llr_pct": 100 * 0.5 / FEWEST}
    assert found.of(genome, edit, {}) == {}
    assert found.of(genome, other, {"llr": 0.0}) == {}
    assert found.of(genome, Edit("a", 1, "C", "A"), {"llr": 0.0}) == {}
    assert found.of(genome, Edit("a", 1, "CA", ""), {"llr": 0.0}) == {}


def test_a_field_of_percentiles_is_a_field_like_others():
    (field,) = percentile_fields([ScoreField("GENOLM_X", "x", "text")])
    assert field.value({"x": 1.0, "x_pct": 12.5}) == 12.5
    assert field.value({"x": 1.0}) is None
    assert field.value("star") is None
    assert "GENOLM_X" in field.description
