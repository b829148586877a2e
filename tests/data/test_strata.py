import pytest

from genolm.data.strata import name_strata
from genolm.errors import InputError


def test_without_edges_every_value_is_a_stratum():
    assert name_strata(["b", "a", "b"], None, ["x:1"] * 3) == ["b", "a", "b"]


def test_a_number_belongs_to_the_range_that_begins_with_it():
    values = ["-5", "0", "29999.5", "30000", "1e6"]
    assert name_strata(values, [0, 30000], ["x:1"] * 5) == [
        "<0",
        "0-30000",
        "0-30000",
        ">=30000",
        ">=30000",
    ]


@pytest.mark.parametrize("value", ["far", ".", "nan"])
def test_what_is_no_number_is_named_with_its_line(value):
    with pytest.raises(InputError, match=r"v\.tsv:7: stratum .* is not a number"):
        name_strata([value], [1.0], ["v.tsv:7"])
