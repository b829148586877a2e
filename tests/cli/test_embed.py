import io
import sys

import numpy as np
import pytest
from pyarrow import parquet

from genolm.cli.main import run
from genolm.models.auto import TOKENIZERS
from genolm.models.build import build_model
from genolm.scoring.embeddings import SequenceEmbedder


@pytest.fixture(scope="session")
def work(tmp_path_factory):
    root = tmp_path_factory.mktemp("embed")
    sizes = {"d_model": 8, "n_layer": 1, "training_length": 16, "bidirectional": False}
    build_model("caduceus", "causal_lm", sizes, seed=1).save_pretrained(root / "model")
    TOKENIZERS["caduceus"]().save_pretrained(root / "model")
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


def embed(*arguments, source="in.csv", model="model", output="out"):
    return run(["embed", source, "-m", model, "-o", output, "--device", "cpu", *arguments])


def made(folder, work):
    new = {path.name for path in folder.iterdir()} - {path.name for path in work.iterdir()}
    return new - {"g.fa.fai"}


def test_a_table_gives_an_array_and_a_table(here, work, capfd):
    assert embed() == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert "3 sequences in " in err
    assert "out.npy (3 x 8), out.parquet" in err
    assert np.load("out.npy").shape == (3, 8)
    assert parquet.read_table("out.parquet").to_pydict() == {
        "id": ["a", "b", "c"],
        "embedding_row": [0, 1, 2],
        "embedding_bases": [4, 21, 6],
    }
    assert made(here, work) == {"out.npy", "out.parquet"}


def test_batch_size_and_threads_do_not_change_an_embedding(here):
    arrays = []
    for options in (["--batch-size", "1"], ["--batch-size", "3"], ["--threads", "1"], []):
        assert embed("-q", *options) == 0
        arrays.append(np.load("out.npy"))
    for array in arrays[1:]:
        np.testing.assert_allclose(array, arrays[0], rtol=1e-5, atol=1e-6)


def test_a_bed_with_its_genome_base_by_base(here):
    assert embed("-r", "g.fa", "--pool", "none", "--layer", "0", source="in.bed") == 0
    assert np.load("out.npy").shape == (7 + 16, 8)
    assert parquet.read_table("out.parquet")["embedding_row"].to_pylist() == [0, 7]


def test_standard_input(here, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b">a b\nACGT\n")))
    assert embed("-q", source="-") == 0
    assert parquet.read_table("out.parquet")["name"].to_pylist() == ["a b"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "missing.csv"}, "no such file: missing.csv"),
        ({"model": "missing"}, "no model folder missing; the models that come with genolm are"),
        ({"source": "in.bed"}, "intervals need the genome"),
        ({"output": "-"}, "--output -: two files are written"),
        ({"output": "no/where"}, "its folder does not exist"),
        ({"more": ["--batch-size", "0"]}, "--batch-size 0: at least 1"),
        ({"more": ["--pool", "median"]}, "--pool median: choose one of mean, max"),
        ({"more": ["--layer", "7"]}, "layer 7: this model has 2"),
        ({"more": ["--dtype", "int8"]}, "--dtype int8: choose one of"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(here, work, capfd, arguments, message):
    more = arguments.pop("more", [])
    assert embed(*more, **arguments) == 2
    err = capfd.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert made(here, work) == set()


def test_bad_content_is_one_line_and_exit_code_1(here, work, capfd):
    (here / "bad.csv").write_text("sequence\nAC!T\n")
    assert embed(source="bad.csv") == 1
    err = capfd.readouterr().err
    assert "bad.csv:2: byte 0x21 '!' at position 3" in err
    assert err.count("\n") == 1
    assert made(here, work) == {"bad.csv"}


def test_ctrl_c_is_exit_code_130_and_leaves_no_half_file(here, work, monkeypatch):
    def interrupt(self, sequences):
        raise KeyboardInterrupt

    monkeypatch.setattr(SequenceEmbedder, "embed", interrupt)
    assert embed() == 130
    assert made(here, work) == set()


@pytest.mark.parametrize("verb", ["score", "embed"])
def test_help_lists_the_models_that_come_with_genolm(verb, capsys):
    assert run([verb, "--help"]) == 0
    assert "ecoli-mamba-d128" in " ".join(capsys.readouterr().out.split())
