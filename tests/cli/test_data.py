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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (">tiny\nACGT\n", "no window of 32 bases left for train (left out: 1 shorter than"),
        (f">n\n{'N' * 2000}\n", "with too many N); choose a smaller length, other contigs"),
        (f">a\n{'ACGT' * 20}1.5\n", "genome.fa: contig a: byte 0x31 '1' at position 81"),
        (f">a\n{'ACGT' * 20}\nNaN,NaN\n", "contig a: byte 0x2C ',' at position 84"),
        (">a\nMKVLAA\n", "contig a: byte 0x4C 'L' at position 4 (counted from 1) is not a base"),
        (">a\n>b\n", "holds no sequence"),
        ("", "genome.fa is empty"),
    ],
    ids=["small", "unknown", "digits", "nan", "protein", "headings", "empty"],
)
def test_what_is_wrong_with_a_genome_is_one_line(genome, capsys, text, message):
    (genome / "genome.fa").write_text(text)
    assert run(["data", "check", "recipe.yaml"]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_a_bed_without_a_part_is_named(genome, capsys):
    (genome / "splits.bed").write_text("I\t0\t900\ttrain\nI\t900\t1500\tvalid\n")
    assert run(["data", "check", "recipe.yaml", "data.bed=splits.bed"]) == 1
    assert "splits.bed: no row of test; each split needs one" in capsys.readouterr().err


def test_parts_that_share_bases_are_told_where_that_is_wanted(genome, capsys):
    (genome / "splits.bed").write_text(
        "I\t0\t1000\ttrain\nI\t900\t1500\tvalid\nI\t1500\t2000\ttest\n"
    )
    arguments = ["data", "check", "recipe.yaml", "data.bed=splits.bed", "data.overlap=warn"]
    assert run(arguments) == 0
    said = capsys.readouterr().err
    assert (
        "train and valid share bases at I:900-1,000 (counted from 0), 100 in all, under 3 of 31"
        " train windows and 4 of 18 valid windows"
    ) in said
    assert run([*arguments, "--json"]) == 0
    assert "share bases" in json.loads(capsys.readouterr().out)["notes"][0]


@pytest.fixture
def two(genome):
    (genome / "other.fa").write_text(f">x\n{'ACCGGT' * 400}\n")
    return genome


def test_info_of_two_genomes_says_whose_row_it_is(two, capsys):
    assert run(["data", "info", "genome.fa", "other.fa"]) == 0
    rows = [line.split("\t")[:3] for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["genome", "contig", "bases"]
    assert rows[3:] == [
        ["genome.fa", "all", "2800"],
        ["other.fa", "x", "2400"],
        ["other.fa", "all", "2400"],
    ]
    assert run(["data", "info", "genome.fa", "other.fa", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[-1]["genome"] == "other.fa"


def test_check_of_two_genomes(two, capsys):
    genomes = "data.genomes=[{fasta: genome.fa, weight: 3, train: I}, {fasta: other.fa, weight: 1}]"
    assert run(["data", "check", "recipe.yaml", "data.fasta=null", genomes]) == 0
    said = capsys.readouterr()
    rows = [line.split("\t") for line in said.out.splitlines()]
    assert rows[0][:2] == ["genome", "split"]
    assert [row[:2] for row in rows[3:5]] == [["genome", "test"], ["other", "train"]]
    assert "genome: 75.0% of the samples, 120.00 epochs: 6,000 windows of 50" in said.err
