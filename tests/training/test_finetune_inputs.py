import pytest

from genolm.errors import InputError, UsageError
from genolm.training.finetune import finetune
from tests.training.outcomes import same, weights


@pytest.mark.parametrize(
    ("task", "train", "test", "said"),
    [
        ("classification", None, [], r"test\.csv: no row below the header"),
        ("regression", [("ACGT", i) for i in range(9)], [("ACGT", "nan")], r"test\.csv:2: .*'nan'"),
        (
            "regression",
            [("ACGT", i) for i in range(9)],
            [("ACGT", "")],
            r"test\.csv:2: empty label",
        ),
        ("classification", [("pQW3", "at"), ("ACGT", "cg")], None, r"train\.csv:2.*is not a base"),
        ("multilabel", None, [("ACGT", "at;zz")], r"test\.csv:2: label 'zz' is not in the train"),
    ],
    ids=["empty test", "nan target", "no target", "a column of no bases", "unseen label"],
)
def test_what_is_wrong_in_a_table_is_one_line_and_nothing_is_written(
    finetuning, write_table, tmp_path, task, train, test, said
):
    recipe = finetuning(task=task)
    for name, rows in (("train", train), ("test", test)):
        if rows is not None:
            write_table(tmp_path / f"{name}.csv", rows)
    with pytest.raises(InputError, match=said) as raised:
        finetune(recipe)
    assert "\n" not in str(raised.value)
    assert not recipe.output.exists()


def test_a_step_of_more_rows_than_there_are_is_refused_before_anything_is_written(finetuning):
    finetune(finetuning(train={"accumulate": 3, "epochs": 1}), with_baselines=False)  # all 36
    recipe = finetuning(train={"accumulate": 4}, output=finetuning().output.with_name("more"))
    with pytest.raises(UsageError, match=r"train\.accumulate: 4 batches of 12 .* the 36 rows"):
        finetune(recipe)
    assert not recipe.output.exists()


def test_the_seed_fixes_everything_and_case_means_nothing(finetuning, tmp_path):
    found = {}
    for name, seed in (("one", 1), ("again", 1), ("other", 2), ("lower", 1)):
        if name == "lower":
            for part in ("train", "test"):
                lines = (tmp_path / f"{part}.csv").read_text().splitlines()
                rows = [row.partition(",") for row in lines[1:]]
                text = [a.swapcase() if i % 2 else a.lower() for i, (a, _, _) in enumerate(rows)]
                rows = [f"{a},{b}" for a, (_, _, b) in zip(text, rows, strict=True)]
                (tmp_path / f"{part}.csv").write_text("\n".join([lines[0], *rows]) + "\n")
        train = {"seed": seed, "epochs": 1, "rc": "augment"}
        recipe = finetuning(train=train, output=tmp_path / name)
        finetune(recipe)
        found[name] = weights(recipe)
    assert same(found["one"], found["again"])
    assert same(found["one"], found["lower"])
    assert not same(found["one"], found["other"])
