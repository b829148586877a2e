import csv

import numpy as np
import pytest
from pyarrow import parquet

from genolm.errors import InputError, UsageError
from genolm.genome.sequence import reverse_complement
from genolm.models.auto import load
from genolm.scoring import embed_file as module
from genolm.scoring.embed_file import EmbeddingJob, embed_file
from genolm.scoring.embeddings import SequenceEmbedder
from genolm.scoring.runtime import Runtime

BASES = ["ACGTT" * (1 + i % 3) for i in range(7)]


@pytest.fixture
def job(tmp_path, model_folders):
    def make(name, text, *, model="mamba", **options):
        (tmp_path / name).write_text(text)
        return EmbeddingJob(
            input=str(tmp_path / name),
            model=str(model_folders / model),
            output=str(tmp_path / "out"),
            runtime=Runtime(device="cpu"),
            **options,
        )

    return make


def table_of(text="sequence"):
    return f"id,{text}\n" + "".join(f"s{i},{bases}\n" for i, bases in enumerate(BASES))


def expected(folder, **options):
    model, _ = load(folder)
    return np.concatenate(SequenceEmbedder(model, **options).embed(BASES))


@pytest.mark.parametrize("pool", ["mean", "none"])
@pytest.mark.parametrize("chunk", [(2, 1000), (100, 16), (1024, 1 << 18)])
def test_rows_and_table_belong_together_however_they_are_read(
    job, tmp_path, model_folders, monkeypatch, pool, chunk
):
    monkeypatch.setattr(module, "CHUNK", chunk[0])
    monkeypatch.setattr(module, "CHUNK_BASES", chunk[1])
    summary = embed_file(job("in.csv", table_of(), pool=pool))
    array = np.load(tmp_path / "out.npy")
    assert array.dtype == np.float32
    assert array.shape == (summary.rows, summary.width)
    np.testing.assert_allclose(
        array, expected(model_folders / "mamba", pool=pool), rtol=1e-5, atol=1e-6
    )
    rows = parquet.read_table(tmp_path / "out.parquet").to_pydict()
    assert list(rows) == ["id", "embedding_row", "embedding_bases"]
    assert rows["id"] == [f"s{i}" for i in range(7)]
    sizes = [len(bases) for bases in BASES]
    assert rows["embedding_bases"] == sizes
    height = sizes if pool == "none" else [1] * 7
    assert rows["embedding_row"] == np.cumsum([0, *height])[:-1].tolist()
    assert summary.line().startswith("7 sequences in ")


def test_a_bed_is_embedded_on_its_strand(job, tmp_path, fasta_path, contigs):
    bed = "chr1\t10\t30\n1\t90\t120\tx\t0\t-\n"
    embed_file(job("in.bed", bed, reference=str(fasta_path)))
    from_bed = np.load(tmp_path / "out.npy")
    rows = parquet.read_table(tmp_path / "out.parquet").to_pydict()
    assert rows["chrom"] == ["chr1", "chr1"]
    assert rows["start"] == [10, 90]
    assert rows["strand"] == ["+", "-"]
    other = reverse_complement(contigs["chr1"][90:120])
    embed_file(job("same.fa", f">a\n{contigs['chr1'][10:30]}\n>b\n{other}\n"))
    np.testing.assert_array_equal(from_bed, np.load(tmp_path / "out.npy"))


def test_another_column_another_layer(job, tmp_path, model_folders):
    embed_file(job("in.csv", table_of("dna"), column="dna", layer=1, pool="last"))
    np.testing.assert_allclose(
        np.load(tmp_path / "out.npy"),
        expected(model_folders / "mamba", layer=1, pool="last"),
        rtol=1e-5,
        atol=1e-6,
    )


def test_without_pyarrow_the_table_is_tsv_and_it_is_said(job, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    embed_file(job("in.fa", ">a b\nACGT\n>c\nGG\n"))
    with (tmp_path / "out.tsv").open(newline="") as lines:
        rows = list(csv.reader(lines, delimiter="\t"))
    assert rows == [
        ["name", "embedding_row", "embedding_bases"],
        ["a b", "0", "4"],
        ["c", "1", "2"],
    ]
    assert not (tmp_path / "out.parquet").exists()
    assert "pyarrow is not installed" in capsys.readouterr().err


def test_the_table_says_which_model_layer_and_pool(job, tmp_path):
    embed_file(job("in.fa", ">a\nACGT\n", layer=-1, pool="max"))
    metadata = parquet.read_schema(tmp_path / "out.parquet").metadata[b"genolm"]
    assert b"model mamba, sha256 " in metadata
    assert metadata.endswith(b"layer -1, pool max")


def test_an_error_late_in_the_file_publishes_nothing(job, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 1)
    with pytest.raises(InputError, match=r"in\.fa:3: >b: byte 0x58 'X' at position 2"):
        embed_file(job("in.fa", ">a\nACGT\n>b\nAXG\n"))
    assert [path.name for path in tmp_path.iterdir()] == ["in.fa"]


def test_a_sequence_longer_than_the_model_reads_is_named(job, tmp_path):
    text = f">short\nACGT\n>long\n{'A' * 67}\n"
    with pytest.raises(InputError, match=r"in\.fa:3: >long: 67 bases, and this model reads 66"):
        embed_file(job("in.fa", text, model="hyena"))
    assert [path.name for path in tmp_path.iterdir()] == ["in.fa"]


def test_a_column_of_ours_that_is_there_already_is_not_doubled(job):
    with pytest.raises(InputError, match="has a column 'embedding_row' already"):
        embed_file(job("in.csv", "embedding_row,sequence\n1,ACGT\n"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"output": "-"}, "two files are written"),
        ({"output": "missing/out"}, "its folder does not exist"),
        ({"pool": "median"}, "--pool median: choose one of mean, max"),
        ({"layer": 9}, "layer 9: this model has 3"),
    ],
)
def test_wrong_options_are_refused_before_any_work(job, tmp_path, monkeypatch, change, message):
    monkeypatch.chdir(tmp_path)
    one = job("in.fa", ">a\nACGT\n")
    values = {name: getattr(one, name) for name in EmbeddingJob.__slots__}
    with pytest.raises(UsageError, match=message):
        embed_file(EmbeddingJob(**{**values, **change}))
    assert [path.name for path in tmp_path.iterdir()] == ["in.fa"]


def test_a_name_that_ends_in_npy_means_the_same(job, tmp_path):
    one = job("in.fa", ">a\nACGT\n")
    values = {name: getattr(one, name) for name in EmbeddingJob.__slots__}
    embed_file(EmbeddingJob(**{**values, "output": str(tmp_path / "out.npy")}))
    assert {path.name for path in tmp_path.iterdir()} == {"in.fa", "out.npy", "out.parquet"}
