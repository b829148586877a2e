import csv

import pytest
from pyarrow import parquet

from genolm.errors import InputError
from genolm.scoring.predict_file import PredictionJob, PredictionSummary, predict_file
from genolm.scoring.runtime import Runtime


@pytest.fixture
def job(tmp_path, model_folders):
    def make(name, text, output="out.tsv", **options):
        path = tmp_path / name
        path.write_text(text)
        return PredictionJob(
            input=str(path),
            model=str(model_folders / "classifier"),
            output=str(tmp_path / output),
            runtime=Runtime(device="cpu"),
            **options,
        )

    return make


def read(path, delimiter="\t"):
    with open(path, newline="") as lines:  # noqa: PTH123
        return list(csv.DictReader(lines, delimiter=delimiter))


def test_rows_come_in_order_with_their_columns_and_probabilities(job, monkeypatch):
    monkeypatch.setattr("genolm.scoring.predict_file.CHUNK", 2)
    text = "id,sequence\n" + "".join(f"s{i},{'ACGTT' * (1 + i)}\n" for i in range(5))
    one = job("in.csv", text, "out.csv")
    summary = predict_file(one)
    rows = read(one.output, ",")
    assert list(rows[0]) == ["id", "sequence", "prediction", "p_LABEL_0", "p_LABEL_1", "p_LABEL_2"]
    assert [row["id"] for row in rows] == [f"s{i}" for i in range(5)]
    for row in rows:
        chances = {i: float(row[f"p_LABEL_{i}"]) for i in range(3)}
        assert sum(chances.values()) == pytest.approx(1)
        assert row["prediction"] == f"LABEL_{max(chances, key=chances.get)}"
    assert (summary.sequences, summary.truncated) == (5, 0)


def test_a_bed_gives_its_intervals(job, fasta_path, contigs):
    one = job("in.bed", "chr1\t10\t30\n1\t90\t120\tx\t0\t-\n", reference=str(fasta_path))
    predict_file(one)
    rows = read(one.output)
    assert [(row["chrom"], row["start"], row["strand"]) for row in rows] == [
        ("chr1", "10", "+"),
        ("chr1", "90", "-"),
    ]
    bases = job("same.fa", f">a\n{contigs['chr1'][10:30]}\n", "same.tsv")
    predict_file(bases)
    # Not digit for digit: a product of two rows may round otherwise than a product of one.
    alone, together = read(bases.output)[0]["p_LABEL_0"], rows[0]["p_LABEL_0"]
    assert float(alone) == pytest.approx(float(together), abs=1e-6)


def test_long_sequences_are_counted_in_one_warning(job, capsys):
    summary = predict_file(job("in.fa", f">a\n{'ACGT' * 9}\n>b\nAC\n>c\n{'ACGT' * 20}\n"))
    assert summary.truncated == 2
    assert capsys.readouterr().err.count("2 of 3 sequences are longer than the model reads") == 1


def test_parquet_says_where_it_is_from(job):
    one = job("in.fa", ">a\nACGT\n", "out.parquet")
    predict_file(one)
    assert b"model classifier, sha256 " in parquet.read_schema(one.output).metadata[b"genolm"]


def test_a_column_that_is_there_already_is_not_doubled(job):
    with pytest.raises(InputError, match="has a column 'prediction' already"):
        predict_file(job("in.csv", "prediction,sequence\n1,ACGT\n"))


def test_an_error_late_in_the_file_publishes_nothing(job, tmp_path, monkeypatch):
    monkeypatch.setattr("genolm.scoring.predict_file.CHUNK", 1)
    with pytest.raises(InputError, match=r"in\.fa:3: >b: byte 0x58 'X' at position 2"):
        predict_file(job("in.fa", ">a\nACGT\n>b\nAXG\n"))
    assert [path.name for path in tmp_path.iterdir()] == ["in.fa"]


def test_the_closing_line_counts_everything():
    line = PredictionSummary(sequences=10, truncated=2, seconds=4.0).line()
    assert line == "10 sequences, 2 truncated in 4.0 s (2.5 sequences/s)"
