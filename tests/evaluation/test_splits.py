from collections import Counter

import pytest

from genolm.data.holdout import split_holdout
from genolm.data.labelled import read_labelled
from genolm.errors import UsageError
from genolm.evaluation.intervals import Genomes
from genolm.evaluation.plan import make_plan
from genolm.evaluation.prepare import crop, prepare
from genolm.evaluation.request import Request
from genolm.evaluation.splits import assign_folds, forget_tables, run_tables

CLEAN, HYENA, CADUCEUS = "clean", "paper-hyenadna", "paper-caduceus"


@pytest.fixture
def make(tmp_path, make_task):
    """Prepare a task of 40 and 20 rows and plan its runs."""

    def build(protocol=CLEAN, folds=None, without=None):
        folder = make_task(tmp_path / "sets" / "one")
        if without:
            (folder / f"{without}.csv").unlink()
        request = Request(
            "folder",
            tmp_path / "sets",
            tmp_path / "out",
            protocol=protocol,
            folds=folds,
            baselines=["kmer"],
        )
        plan = make_plan(request)
        place = tmp_path / "out" / "one"
        place.mkdir(parents=True, exist_ok=True)
        return prepare(plan.tasks[0], request.data, place, Genomes()), plan

    return build


def sequences(path):
    return read_labelled(path).sequences


def test_the_honest_protocol_leaves_the_holding_out_to_the_training(make):
    prepared, plan = make()
    tables = run_tables(prepared, plan, plan.runs[0])
    assert tables.valid is None
    assert tables.section()["valid_fraction"] == 0.1
    assert (len(sequences(tables.train)), len(sequences(tables.test))) == (40, 20)
    assert not (prepared.place / "data" / "seed-1").exists()


def test_hyenadna_chooses_on_the_test_part(make):
    prepared, plan = make(HYENA)
    tables = run_tables(prepared, plan, plan.runs[0])
    assert tables.valid == tables.test
    assert len(sequences(tables.train)) == 40


def test_caduceus_holds_out_as_random_split_does(make):
    prepared, plan = make(CADUCEUS)
    whole = prepared.read("train")
    tables = run_tables(prepared, plan, plan.runs[0])
    stay, held = split_holdout(40, 0.1, plan.runs[0].seed)
    assert sequences(tables.train) == whole.take(stay).sequences
    assert sequences(tables.valid) == whole.take(held).sequences
    forget_tables(prepared, plan.runs[0])
    assert not tables.train.exists()


@pytest.mark.parametrize("without", [None, "test"])
def test_every_row_is_held_out_by_one_fold(make, without):
    prepared, plan = make(folds=4, without=without)
    held = []
    for run in plan.runs:
        tables = run_tables(prepared, plan, run)
        held_out = sequences(tables.test if without else tables.valid)
        assert not set(held_out) & set(sequences(tables.train))
        held += held_out
        assert without or len(sequences(tables.test)) == 20
    assert sorted(held) == sorted(prepared.read("train").sequences)


def test_folds_have_their_share_of_every_class():
    classes = ["x"] * 30 + ["y"] * 10
    folds = assign_folds(40, 5, classes)
    assert Counter(zip(classes, folds, strict=True)) == Counter(
        {("x", fold): 6 for fold in range(5)} | {("y", fold): 2 for fold in range(5)}
    )
    assert folds == assign_folds(40, 5, classes)


def test_no_test_part_needs_folds_and_folds_need_rows(make):
    prepared, plan = make(without="test")
    with pytest.raises(UsageError, match="no test part"):
        run_tables(prepared, plan, plan.runs[0])
    prepared, plan = make(folds=30)
    with pytest.raises(UsageError, match="too many for 40 rows"):
        run_tables(prepared, plan, plan.runs[0])


def test_cropping_leaves_no_length_to_tell_by(make, make_table, tmp_path):
    rows = [("AACCGGTT", "x"), ("ACG", "y"), ("TTACGTA", "y")]
    whole = read_labelled(make_table(tmp_path / "t.csv", rows))
    cut, [note] = crop({"train": whole, "valid": None, "test": None}, 4)
    assert (cut["train"].sequences, cut["train"].labels) == (["CCGG", "TACG"], ["x", "y"])
    assert "1 shorter sequences are left out" in note
    cut, _ = crop({"train": whole, "valid": None, "test": None}, "shortest")
    assert cut["train"].sequences == ["CCG", "ACG", "ACG"]
