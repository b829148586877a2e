import os
from pathlib import Path

import numpy as np
import pytest

from genolm.data.audit import are_values, audit
from genolm.data.labelled import read_parts
from genolm.data.labelled_set import LabelledSet
from genolm.genome.sequence import reverse_complement
from genolm.metrics.shortcuts import SHORTCUTS

RNG = np.random.default_rng(5)


def draw(count, size=60):
    return ["".join(RNG.choice(list("ACGT"), size)) for _ in range(count)]


def labelled(rows):
    sequences, labels = zip(*rows, strict=True)
    files = ["set.csv"] * len(rows)
    return LabelledSet(
        "set.csv", list(sequences), list(labels), files, list(range(2, len(rows) + 2))
    )


@pytest.fixture(scope="module")
def train():
    rows = [(sequence, "ab"[i % 2]) for i, sequence in enumerate(draw(40))]
    return labelled(rows)


def test_a_clean_set_has_no_warnings(train):
    found = audit(train, labelled([(one, "a") for one in draw(10)]), {})
    assert found.warnings() == []
    assert (found.train, found.test, found.classes) == (40, 10, {"a": 20, "b": 20})


def test_copies_are_told_apart(train):
    fresh = draw(3)
    test = labelled(
        [
            (train.sequences[0], "a"),
            (train.sequences[1].lower(), "a"),  # in train as b
            (reverse_complement(train.sequences[2]), "a"),
            (train.sequences[3][2:] + "AC", "b"),
            *[(one, "a") for one in fresh],
        ]
    )
    found = audit(train, test, {})
    assert (found.test_copies, found.test_conflicts) == (2, 1)
    assert (found.test_reverse_copies, found.test_similar) == (1, 1)
    said = " ".join(found.warnings())
    assert "2 of 7 test sequences are copies of train sequences" in said
    assert "1 of 7 test sequences are in train with another label" in said


def test_train_is_looked_at_too():
    one, other = draw(2)
    rows = [(one, "a"), (one.lower(), "a"), (one, "b"), (other, "a")]
    found = audit(labelled(rows), None, {})
    assert (found.train_copies, found.train_conflicts) == (1, 1)
    assert found.conflicting_places == ["set.csv:2"]


def test_rare_classes_are_named():
    rows = [(one, "common") for one in draw(60)] + [(draw(1)[0], "rare")]
    assert "rare classes: rare (1)" in audit(labelled(rows), None, {}).warnings()


def test_lengths_and_compositions_that_give_the_answer_away_are_found():
    by_length = [(one, "long") for one in draw(50, 80)] + [(one, "short") for one in draw(50, 60)]
    found = audit(labelled(by_length), None, SHORTCUTS)
    assert found.shortcuts["length"] == 1.0
    assert found.shortcuts["composition"] < 0.9
    assert any("length alone gives accuracy 1.000" in text for text in found.warnings())
    rich = [
        ("".join(RNG.choice(list("ACGT"), 60, p=[0.1, 0.4, 0.4, 0.1])), "gc") for _ in range(50)
    ]
    found = audit(labelled(rich + [(one, "even") for one in draw(50)]), None, SHORTCUTS)
    assert found.shortcuts["composition"] > 0.9
    assert found.shortcuts["length"] == found.majority


def test_values_are_no_classes():
    rows = [(sequence, f"{i / 7:.3f}") for i, sequence in enumerate(draw(20))]
    found = audit(labelled(rows), labelled([*rows[:2], *rows[:1]]), SHORTCUTS)
    assert (found.classes, found.majority, found.shortcuts) == ({}, None, {})
    assert found.warnings() == ["3 of 3 test sequences are copies of train sequences"]
    assert not are_values(["0", "1.0", "2"])
    assert not are_values(["0.5", "high"])


def test_a_single_class_has_no_shortcuts():
    found = audit(labelled([(one, "a") for one in draw(5)]), None, SHORTCUTS)
    assert found.majority is None


PUBLISHED = {  # as the sets' own description counts them
    "gb_human_enhancers_ensembl_chr20X": {"test_copies": 501, "test": 1254},
    "ienhancer_layer1": {"test_copies": 100, "test": 400},
    "gue_prom_core_all": {"test_copies": 43, "train_conflicts": 40},
}


@pytest.mark.skipif("GENOLM_DATA" not in os.environ, reason="GENOLM_DATA is not set")
@pytest.mark.parametrize("name", PUBLISHED)
def test_what_is_known_of_real_sets_is_found(name):
    folder = Path(os.environ["GENOLM_DATA"]) / "classification" / name
    found = audit(*read_parts(folder, None), {})
    assert {key: getattr(found, key) for key in PUBLISHED[name]} == PUBLISHED[name]


@pytest.mark.skipif("GENOLM_DATA" not in os.environ, reason="GENOLM_DATA is not set")
def test_length_solves_the_regulatory_set():
    folder = Path(os.environ["GENOLM_DATA"]) / "classification/gb_human_ensembl_regulatory_chr20"
    found = audit(*read_parts(folder, None), SHORTCUTS)
    assert found.shortcuts["length"] == pytest.approx(0.908, abs=0.001)
