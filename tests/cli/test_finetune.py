import csv
import json

import pytest

from genolm.cli.main import run

HEADER = ("sequence", "label")
ROWS = [("ACGTTGCA" * 4, "x"), ("GGCATTTA" * 4, "y")] * 15


def write(file, rows, header=HEADER):
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows([header, *rows])


@pytest.fixture
def arguments(tmp_path):
    for name in ("train", "test"):
        write(tmp_path / f"{name}.csv", ROWS)
    return [
        "finetune",
        "smoke/yeast_promoters",
        f"data.train={tmp_path / 'train.csv'}",
        f"data.test={tmp_path / 'test.csv'}",
        f"output={tmp_path / 'run'}",
        "train.epochs=1",
        "--threads=1",
    ]


def test_a_run_by_name_ends_with_a_model_and_figures(arguments, tmp_path, capsys):
    assert run(arguments) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "kmer_logistic" in said.err
    assert "also in train" in said.err
    figures = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert {"accuracy", "mcc", "auroc", "auprc", "f1", "n"} <= figures["test"].keys()
    assert (tmp_path / "run" / "model" / "config.json").is_file()


@pytest.mark.parametrize(
    ("rows", "header", "said"),
    [
        (ROWS, ("bases", "label"), "sequence"),
        ([row for row in ROWS if row[1] == "x"], HEADER, "only one class, 'x'"),
        ([*ROWS, ("", "x")], HEADER, "train.csv:32: empty sequence"),
        ([row for row in ROWS if row[1] == "x"] + [("ACGT", "z")], HEADER, "test.csv:3: label 'y'"),
    ],
)
def test_a_wrong_table_is_one_line_and_exit_code_1(arguments, tmp_path, capsys, rows, header, said):
    write(tmp_path / "train.csv", rows, header)
    assert run(arguments) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said in lines[0]
    assert not (tmp_path / "run").exists()


def test_a_missing_table_is_one_line_and_exit_code_2(arguments, tmp_path, capsys):
    (tmp_path / "test.csv").unlink()
    assert run(arguments) == 2
    assert "data.test: there is no file or folder" in capsys.readouterr().err


def test_a_model_folder_without_weights_is_exit_code_2(arguments, tmp_path, capsys):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "caduceus"}')
    assert run([*arguments, f"model={{path: {tmp_path / 'model'}}}"]) == 2
    assert "no weights" in capsys.readouterr().err
