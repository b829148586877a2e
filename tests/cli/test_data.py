import json

import pytest

from genolm.cli.main import run


@pytest.fixture
def genome(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "genome.fa").write_text(f">I\n{'ACGT' * 500}\n>II\n{'ggcc' * 100}{'N' * 400}\n")
    (tmp_path / "recipe.yaml").write_text(
        "model: {family: caduceus, d_model: 8, n_layer: 1}\n"
        "data: {fasta: genome.fa, length: 32}\n"
        "objective: masked_lm\noutput: out\n"
    )
    return tmp_path


def test_info_prints_a_row_for_every_contig(genome, capsys):
    assert run(["data", "info", "genome.fa", "--length", "100"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert rows == [
        ["contig", "bases", "N", "GC", "lower_case", "windows"],
        ["I", "2000", "0", "0.5000", "0", "20"],
        ["II", "800", "400", "1.0000", "400", "4"],
        ["all", "2800", "400", "0.5833", "400", "24"],
    ]


def test_info_as_json(genome, capsys):
    assert run(["data", "info", "genome.fa", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["bases"] == 2000


def test_check_says_what_each_part_holds(genome, capsys):
    assert run(["data", "check", "recipe.yaml", "data.train=[I]"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == ["split", "train", "valid", "test"]
    assert [row[3] for row in rows[1:]] == ["I"] * 3
    assert sum(int(row[2]) for row in rows[1:]) <= 2000
    assert not (genome / "out").exists()


def test_check_refuses_parts_that_share_bases(genome, capsys):
    (genome / "splits.bed").write_text(
        "I\t0\t1000\ttrain\nI\t900\t1500\tvalid\nI\t1500\t2000\ttest\n"
    )
    assert run(["data", "check", "recipe.yaml", "data.bed=splits.bed"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("genolm: error: train and valid share bases at I:900-1,000")
    assert said.count("\n") == 1


@pytest.fixture
def table(genome):
    (genome / "train.csv").write_text("sequence,label\nACGTACGT,a\nTTTTTTTT,b\nACGTACGT,b\n")
    (genome / "test.csv").write_text("sequence,label\nacgtacgt,a\nGGGGGGGG,b\n")
    return genome


def test_audit_prints_counts_and_warnings(table, capsys):
    assert run(["data", "audit", "train.csv", "test.csv"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert ["test_copies", "1"] in rows
    assert ["train_conflicts", "1"] in rows
    assert ["warning", "1 of 2 test sequences are copies of train sequences"] in rows
    assert run(["data", "audit", "train.csv", "test.csv", "--strict"]) == 1


def test_audit_as_json_of_a_folder(table, capsys):
    assert run(["data", "audit", ".", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["train"], found["test"], found["test_copies"]) == (3, 2, 1)
    assert found["warnings"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["info", "no.fa"], 2, "no.fa: no such file"),
        (["check", "recipe.yaml", "data.train=[X]"], 2, "no contig 'X'"),
        (["audit", "no.csv"], 2, "no.csv"),
        (["audit", "train.csv", "--label", "y"], 1, "train.csv"),
    ],
)
def test_what_is_wrong_is_one_line(table, capsys, arguments, code, message):
    assert run(["data", *arguments]) == code
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
