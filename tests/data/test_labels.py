"""Labels become numbers, and what cannot is named by file and line."""

import numpy as np
import pytest

from genolm.data.labelled_set import LabelledSet
from genolm.data.labels import LabelSpace, sorted_names
from genolm.errors import InputError


def rows(*labels, name="train.csv", label_names=()):
    count = len(labels)
    return LabelledSet(
        name,
        ["A"] * count,
        list(labels),
        [name] * count,
        list(range(2, count + 2)),
        label_names=label_names,
    )


def test_class_ids_follow_the_sorted_names():
    space = LabelSpace.learn(rows("promoter", "enhancer", "ocr", "ocr"), "classification")
    assert space.names == ("enhancer", "ocr", "promoter")
    ids = space.encode(rows("ocr", "promoter", "enhancer"))
    assert ids.dtype == np.int64
    assert ids.tolist() == [1, 2, 0]


def test_numbers_are_sorted_as_numbers():
    assert sorted_names({"10", "9", "0"}) == ("0", "9", "10")
    assert sorted_names({"10", "9", "a"}) == ("10", "9", "a")


def test_several_names_make_a_row_of_0_and_1():
    space = LabelSpace.learn(rows("b;a", "", "c ; a"), "multilabel")
    assert space.names == ("a", "b", "c")
    table = space.encode(rows("a;c", "", "b"))
    assert table.dtype == np.float32
    assert table.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]


def test_label_columns_keep_their_order_and_those_without_a_one():
    space = LabelSpace.learn(rows("y", "", label_names=("z", "y")), "multilabel")
    assert space.names == ("z", "y")
    assert space.encode(rows("y")).tolist() == [[0, 1]]


def test_regression_labels_are_numbers():
    space = LabelSpace.learn(rows("1.5", "-2e-1"), "regression")
    values = space.encode(rows("1.5", "-2e-1", "3"))
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, [1.5, -0.2, 3.0])


@pytest.mark.parametrize("label", ["high", "nan", "inf", ""])
def test_a_label_that_is_no_number_is_named(label):
    space = LabelSpace("regression", ())
    with pytest.raises(InputError, match=r"^test\.csv:3: (label '.+' is not a number|empty label)"):
        space.encode(rows("1", label, name="test.csv"))


def test_an_unseen_label_is_named_with_those_there_are():
    space = LabelSpace.learn(rows("a", "b"), "classification")
    with pytest.raises(
        InputError, match=r"^test\.csv:4: label 'c' is not in the train part, which has a, b$"
    ):
        space.encode(rows("a", "b", "c", name="test.csv"))
    many = LabelSpace.learn(rows("a;b"), "multilabel")
    with pytest.raises(InputError, match=r"^test\.csv:2: label 'x' is not"):
        many.encode(rows("a;x", name="test.csv"))


@pytest.mark.parametrize(
    ("labels", "task", "message"),
    [
        (("a", "a"), "classification", r"train\.csv: only one class, 'a'; .* needs at least 2"),
        (("a", ""), "classification", r"train\.csv:3: empty label"),
        (("", ""), "multilabel", r"train\.csv: no label"),
    ],
)
def test_labels_that_teach_nothing_are_refused(labels, task, message):
    with pytest.raises(InputError, match=message):
        LabelSpace.learn(rows(*labels), task)
