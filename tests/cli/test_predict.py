import csv
import io
import sys

import pytest

from genolm.cli.main import run
from genolm.models.auto import TOKENIZERS
from genolm.models.build import build_model
from genolm.scoring.predict import SequencePredictor


@pytest.fixture(scope="session")
def work(tmp_path_factory):
    root = tmp_path_factory.mktemp("predict")
    sizes = {"d_model": 8, "n_layer": 1, "training_length": 16}
    for name, task, options in (
        ("classifier", "classification", {"id2label": {0: "gene", 1: "other"}}),
        ("language", "masked_lm", {}),
    ):
        build_model("caduceus", task, {**sizes, **options}, seed=1).save_pretrained(root / name)
        TOKENIZERS["caduceus"]().save_pretrained(root / name)
    (root / "in.csv").write_text("id,sequence\na,ACGT\nb,GGGTTTAAACCCGGGTTTAAA\nc,nnacgu\n")
    (root / "g.fa").write_text(">chr1\nACGTTGCAACGTTGCA\n")
    (root / "in.bed").write_text("chr1\t2\t9\nchr1\t0\t16\tx\t0\t-\n")
    return root


@pytest.fixture(autouse=True)
def here(work, tmp_path, monkeypatch):
    for path in work.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def predict(*arguments, source="in.csv", model="classifier", output="out.tsv"):
    return run(["predict", source, "-m", model, "-o", output, "--device", "cpu", *arguments])


def leftovers(folder, work):
    made = {path.name for path in folder.iterdir()} - {path.name for path in work.iterdir()}
    return made - {"g.fa.fai", "bad.csv"}


def test_a_table_comes_back_with_predictions(here, capfd):
    assert predict() == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert "1 of 3 sequences are longer" in err
    assert "3 sequences, 1 truncated in " in err
    with (here / "out.tsv").open(newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    assert list(rows[0]) == ["id", "sequence", "prediction", "p_gene", "p_other"]
    assert [row["id"] for row in rows] == ["a", "b", "c"]


def test_a_bed_with_its_genome(here):
    assert predict("-r", "g.fa", source="in.bed", output="out.csv") == 0
    assert (here / "out.csv").read_text().startswith("chrom,start,end,name,strand,prediction,")


def test_standard_input_to_standard_output(monkeypatch, capfd):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b">a b\nACGT\n")))
    assert predict("-q", source="-", output="-") == 0
    out, err = capfd.readouterr()
    assert out.startswith("name\tprediction\tp_gene\tp_other\na b\t")
    assert err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "missing.csv"}, "no such file: missing.csv"),
        ({"model": "missing"}, "no model folder missing"),
        ({"model": "language"}, "is a language model; predictions need a fine-tuned one"),
        ({"source": "in.bed"}, "intervals need the genome"),
        ({"output": "out.vcf"}, "a table's name ends in one of .tsv"),
        ({"more": ["--batch-size", "0"]}, "--batch-size 0: at least 1"),
        ({"more": ["-r", "g.fa"]}, "--reference goes with a BED"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(here, work, capfd, arguments, message):
    more = arguments.pop("more", [])
    assert predict(*more, **arguments) == 2
    err = capfd.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert leftovers(here, work) == set()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,dna\na,ACGT\n", "no column 'sequence'; there are id, dna (choose with --sequence)"),
        ("sequence\nACGT\n \n", "bad.csv:3: the sequence is empty"),
        ("sequence\nAC!T\n", "bad.csv:2: byte 0x21 '!' at position 3"),
        ("", "bad.csv: empty"),
    ],
)
def test_bad_content_is_one_line_and_exit_code_1(here, work, capfd, text, message):
    (here / "bad.csv").write_text(text)
    assert predict(source="bad.csv") == 1
    err = capfd.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert leftovers(here, work) == set()


def test_ctrl_c_is_exit_code_130_and_leaves_no_half_file(here, work, monkeypatch):
    def interrupt(self, sequences):
        raise KeyboardInterrupt

    monkeypatch.setattr(SequencePredictor, "predict", interrupt)
    assert predict() == 130
    assert leftovers(here, work) == set()
