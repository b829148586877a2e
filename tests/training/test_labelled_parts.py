import collections

import pytest
import torch

from genolm.training.epoch_examples import EpochExamples
from genolm.training.labelled_parts import read_parts
from genolm.training.recipe_finetune import LabelledSection


@pytest.fixture
def parts(finetuning):
    recipe = finetuning()
    return read_parts(recipe.data, "classification", seed=1)


def examples(parts, rc="none", epochs=3, per_epoch=30):
    return EpochExamples(parts.train, length=20, per_epoch=per_epoch, epochs=epochs, seed=5, rc=rc)


def rows_of(some):
    return [tuple(some[i]["input_ids"].flatten().tolist()) for i in range(len(some))]


def test_the_held_out_part_keeps_the_shares_of_the_classes(parts):
    assert collections.Counter(parts.valid.rows.labels) == {"at": 2, "cg": 2}
    together = set(parts.valid.rows.sequences) | set(parts.train.rows.sequences)
    assert together == set(parts.learned.rows.sequences)
    assert not set(parts.valid.rows.sequences) & set(parts.train.rows.sequences)


def test_the_held_out_part_hangs_on_the_seed_alone(finetuning):
    data = finetuning().data
    one, again, other = (
        read_parts(data, "classification", seed=seed).valid.rows.sequences for seed in (1, 1, 2)
    )
    assert one == again != other


def test_epochs_visit_other_rows_in_another_order(parts):
    rows = rows_of(examples(parts))
    epochs = [rows[i : i + 30] for i in (0, 30, 60)]
    assert all(len(set(epoch)) == 30 for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert len({frozenset(epoch) for epoch in epochs}) > 1


def test_an_example_does_not_depend_on_those_asked_for_before(parts):
    there = examples(parts, "augment")
    back = examples(parts, "augment")
    for index in (89, 3, 45, 3):
        expected = rows_of(there)[index]
        assert tuple(back[index]["input_ids"].tolist()) == expected


def test_augmentation_shows_both_strands_of_the_same_row(parts):
    plain, both = examples(parts), examples(parts, "augment")
    flipped = 0
    for index in range(len(plain)):
        ids, shown = plain[index]["input_ids"], both[index]["input_ids"]
        turned = (17 - ids).flip(0)
        assert torch.equal(shown, ids) or torch.equal(shown, turned)
        flipped += int(torch.equal(shown, turned) and not torch.equal(ids, turned))
    assert 0.3 < flipped / len(plain) < 0.7


def test_conjoined_examples_hold_both_strands(parts):
    ids = examples(parts, "conjoin")[0]["input_ids"]
    assert ids.shape == (20, 2)
    assert torch.equal(ids[:, 1], (17 - ids[:, 0]).flip(0))


def test_duplicates_are_counted_on_both_strands(finetuning, write_table, tmp_path):
    recipe = finetuning()
    write_table(tmp_path / "train.csv", [("AACC", "a"), ("ACGT", "b")] * 10)
    write_table(tmp_path / "test.csv", [("aacc", "a"), ("GGTT", "a"), ("TTTT", "b")])
    found = read_parts(recipe.data, "classification", seed=1).facts()["duplicates"]
    assert found == {"test_in_train": 1, "test_in_train_reverse_complement": 1}


def test_digests_change_with_a_base_or_a_label(finetuning, write_table, tmp_path):
    recipe = finetuning()

    def digests():
        return read_parts(recipe.data, "classification", seed=1).digests()

    first = digests()
    write_table(tmp_path / "test.csv", [("ACGT", "at")])
    second = digests()
    write_table(tmp_path / "test.csv", [("ACGT", "cg")])
    assert first["test"] != second["test"] != digests()["test"]
    assert first["train"] == second["train"]


def test_rows_of_many_labels_are_held_out_though_each_is_one_of_its_kind(write_table, tmp_path):
    rows = [("ACGT" * (i + 1), *f"{i:06b}") for i in range(40)]
    names = [f"l{i}" for i in range(6)]
    for part in ("train", "test"):
        write_table(tmp_path / f"{part}.csv", rows, ("sequence", *names))
    section = LabelledSection.model_validate(
        {"train": tmp_path / "train.csv", "test": tmp_path / "test.csv", "label": names}
    )
    parts = read_parts(section, "multilabel", seed=1)
    assert (len(parts.train.rows), len(parts.valid.rows)) == (36, 4)


@pytest.mark.parametrize("rc", ["none", "augment", "conjoin"])
def test_a_batch_holds_the_examples_that_are_asked_for_one_by_one(parts, rc):
    one, several = examples(parts, rc), examples(parts, rc)
    wanted = [5, 29, 30, 31, 89, 5]  # of three epochs
    batch = several.__getitems__(wanted)
    for place, index in enumerate(wanted):
        for name, column in one[index].items():
            assert torch.equal(batch.columns[name][place], column)
    rows = [several.names(range(index, index + 1))[0] for index in wanted]
    assert rows == [name for index in wanted for name in one.names(range(index, index + 1))]
    assert rows[0] == rows[-1] != rows[1]
