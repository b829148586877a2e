import csv

import numpy as np
import pytest

from genolm.cli.main import run

RECIPE = """
seeds: 1
baselines: [kmer]
default: {train: {epochs: 1, batch_size: 8, precision: float32}}
models: {scratch: {model: {family: hyenadna, d_model: 8, n_layer: 1, max_seq_len: 32}}}
"""


def rows(count, seed, names=("x", "y"), length=24):
    rng = np.random.default_rng(seed)
    return [
        ("".join(rng.choice(list("ACGT"), length)), names[i % len(names)]) for i in range(count)
    ]


def write(file, content, header=("sequence", "label")):
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows([header, *content])


@pytest.fixture
def sets(tmp_path):
    for part, count in (("train", 16), ("test", 8)):
        write(tmp_path / "sets" / "good" / f"{part}.csv", rows(count, count))
        write(tmp_path / "sets" / "bad" / f"{part}.csv", rows(count, count + 1))
    (tmp_path / "r.yaml").write_text(RECIPE)
    return tmp_path


def command(root, *more):
    given = ["evaluate", "folder", "--data", str(root / "sets"), "-o", str(root / "out")]
    return [*given, "--recipe", str(root / "r.yaml"), "--threads", "1", *more]


def test_one_command_leaves_a_table_and_the_next_one_takes_it_up(sets, capsys):
    assert run(command(sets, "--markdown", str(sets / "RESULTS.md"))) == 0
    out, err = capsys.readouterr()
    assert "| good | accuracy | 8 |" in out
    assert "seed-1 scratch: accuracy" in err
    assert (sets / "RESULTS.md").read_text() == out == (sets / "out" / "table.md").read_text()
    assert run(command(sets)) == 0
    assert "seed-1 scratch" not in capsys.readouterr().err


BAD = {
    "unseen": ("test", [("ACGT", "z")], "test.csv:2: label 'z' is not in the train part"),
    "empty_test": ("test", [], "test.csv: no row below the header"),
    "no_dna": ("train", [("hello!", "x"), ("ACGT", "y")], "train.csv:2"),
    "one_class": ("train", [("ACGT", "x")] * 4, "only one class, 'x'"),
    "empty": ("train", [("", "x"), ("A", "y")], "train.csv:2: empty sequence"),
    "nan": (
        "train",
        [("ACGT", "1.5"), ("GGGT", "nan")],
        "train.csv:3: label 'nan' is not a number",
    ),
}
"""A part of a task, what stands in it, and what is said of it."""


def test_a_bad_or_missing_task_is_one_line_and_the_others_go_on(sets, capsys):
    for name, (part, content, _) in BAD.items():
        for other, count in (("train", 16), ("test", 8)):
            write(sets / "sets" / name / f"{other}.csv", rows(count, count))
        write(sets / "sets" / name / f"{part}.csv", content)
    only = ", ".join(["gone", *BAD, "good"])
    tasks = "tasks: {gone: {crop: 10}, nan: {kind: regression}}"
    (sets / "r.yaml").write_text(f"{RECIPE}{tasks}\nonly: [{only}]\n")
    assert run(command(sets, "--baselines", "none")) == 1
    out, err = capsys.readouterr()
    warnings = [line for line in err.splitlines() if line.startswith("genolm: warning")]
    expected = {"gone": "no such task"} | {name: said for name, (_, _, said) in BAD.items()}
    assert len(warnings) == len(expected)
    for warning, (name, said) in zip(warnings, expected.items(), strict=True):
        assert warning.startswith(f"genolm: warning: {name}: ")
        assert said in warning
        assert said in out.partition("## Not done")[2]
    assert "| good | accuracy | 8 |" in out
    assert not (sets / "out" / "gone").exists()


def test_sequences_longer_than_the_model_and_ids_that_repeat_stand_in_the_table(sets, capsys):
    header = ("id", "sequence", "label")
    for part, count in (("train", 16), ("test", 8)):
        content = [(f"r{min(i, 6)}", *row) for i, row in enumerate(rows(count, count, length=48))]
        write(sets / "sets" / "bad" / f"{part}.csv", content, header)
    assert run(command(sets, "--tasks", "bad", "--baselines", "none")) == 0
    out = capsys.readouterr().out
    assert "8 test sequences are longer than the model reads" in out
    assert "the id 'r6' stands twice" in out


def test_a_test_set_may_lack_classes(sets, capsys):
    names = ("10", "9", "2")
    write(sets / "sets" / "bad" / "train.csv", rows(18, 0, names))
    write(sets / "sets" / "bad" / "test.csv", rows(6, 1, ("9",)))
    assert run(command(sets, "--tasks", "bad")) == 0
    config = (sets / "out" / "bad" / "scratch" / "seed-1" / "model" / "config.json").read_text()
    assert [config.index(f'"{i}": "{name}"') for i, name in enumerate(("2", "9", "10"))]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["train.epoch=3"], "train.epoch is not a key"),
        (["--protocol", "honest"], "choose clean"),
        (["-m", "nowhere"], "there is no model folder nowhere"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(more, said, sets, capsys):
    code = run(command(sets, *more, "--baselines", "none"))
    err = capsys.readouterr().err
    assert code == 2
    assert err.count("\n") == 1
    assert said in err
    assert not (sets / "out").exists()


def test_eqtls_have_a_protocol_of_their_own(tmp_path, capsys):
    from genolm.models import build_model

    model = build_model("caduceus", "masked_lm", {"d_model": 8, "n_layer": 1}, seed=1)
    model.save_pretrained(tmp_path / "tiny")
    (tmp_path / "g.fa").write_text(f">1\n{'ACGT' * 60}\n>9\n{'ACGT' * 60}\n")
    lines = [
        f"{contig}\t{pos}\tA\tC\t{pos // 4 % 2}\t500"
        for contig in (1, 9)
        for pos in range(41, 201, 4)
    ]
    header = "chrom\tpos\tref\talt\tlabel\tdistance_to_nearest_tss"
    (tmp_path / "variants.tsv").write_text("\n".join([header, *lines]) + "\n")
    given = ["evaluate", "eqtl", "--data", str(tmp_path), "-r", str(tmp_path / "g.fa")]
    given += ["-m", str(tmp_path / "tiny"), "-o", str(tmp_path / "out"), "window=32"]
    markdown = tmp_path / "RESULTS.md"
    assert run([*given, "site_window=9", "tissue=null", "--markdown", str(markdown)]) == 0
    assert "| tiny | <30000 | 40 | 40 |" in (out := capsys.readouterr().out)
    assert markdown.read_text() == out
    assert run([*given, "--seeds", "3", "--recipe", "variants"]) == 2
    assert "eqtl has no --recipe, --seeds" in capsys.readouterr().err
    assert run([*given, "tisue=null"]) == 2
    assert "did you mean tissue" in capsys.readouterr().err
