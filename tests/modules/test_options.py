"""Options: names and types are checked, and the error says what would be right."""

from typing import Literal

import pytest

from genolm.modules.options import check_type, read_number, reject_unknown


def test_strangers_are_named_beside_all_known_names():
    reject_unknown("a thing", ["b"], ["a", "b"])
    with pytest.raises(ValueError, match=r"^a thing has no option 'c', 'd'; it has a, b$"):
        reject_unknown("a thing", iter(["d", "c", "a"]), iter(["b", "a"]))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (3, int),
        (3, float),
        (3.5, float),
        (True, bool),
        (None, int | None),
        ("auto", int | Literal["auto"]),
        (4, int | Literal["auto"]),
        ({1: 2}, dict[int, int]),
        ("add", Literal["add", "mul"]),
    ],
)
def test_values_of_the_right_type_pass(value, kind):
    check_type("a thing", "x", value, kind)


@pytest.mark.parametrize(
    ("value", "kind", "wanted"),
    [
        (3.5, int, "int"),
        (True, int, "int"),
        (True, float, "float"),
        (1, bool, "bool"),
        ("3", int, "int"),
        (None, int, "int"),
        ("manual", int | Literal["auto"], "int or 'auto'"),
        ([1], dict[int, int] | None, "dict or null"),
        (["add"], Literal["add", "mul"], "'add' or 'mul'"),
    ],
)
def test_values_of_the_wrong_type_are_refused_with_the_right_one(value, kind, wanted):
    with pytest.raises(ValueError, match=f"a thing: x must be {wanted}, got"):
        check_type("a thing", "x", value, kind)


@pytest.mark.parametrize(
    ("value", "kind", "read"),
    [
        ("1e-3", float, 1e-3),
        ("12", int, 12),
        ("12", int | None, 12),
        ("12", float, 12.0),
        ("1e-3", int, "1e-3"),
        ("auto", int | Literal["auto"], "auto"),
        ("7", str, "7"),
        ("x", float, "x"),
        (5, float, 5),
        ("3", None, "3"),
    ],
)
def test_text_becomes_a_number_where_one_is_wanted(value, kind, read):
    assert read_number(value, kind) == read
    assert type(read_number(value, kind)) is type(read)
