import csv
import gzip

import pytest
from pyarrow import parquet

from genolm.data import columns
from genolm.data.columns import Column
from genolm.errors import UsageError
from genolm.scoring import tables
from genolm.scoring.tables import check_table, open_table

COLUMNS = [
    Column("name", "text"),
    Column("count", "integer"),
    Column("value", "real"),
    Column("good", "truth"),
]
ROWS = [["a,b\tc", 1, 0.123456789, True], ['quo"te', None, -1e-30, False], [None, 3, None, None]]


def write(path, rows=ROWS, metadata=None):
    with open_table(path, COLUMNS, metadata) as write_rows:
        if callable(rows):
            write_rows(rows())
        else:
            write_rows(rows[:1])
            write_rows(rows[1:])
    return path


@pytest.mark.parametrize(("suffix", "delimiter"), [(".tsv", "\t"), (".csv", ","), (".CSV", ",")])
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_delimited_tables_read_back(tmp_path, suffix, delimiter, packed):
    path = write(tmp_path / f"out{suffix}{packed}")
    opened = gzip.open if packed else open
    with opened(path, "rt", newline="") as lines:
        assert list(csv.reader(lines, delimiter=delimiter)) == [
            ["name", "count", "value", "good"],
            ["a,b\tc", "1", "0.123456789", "True"],
            ['quo"te', "NA", "-1e-30", "False"],
            ["NA", "3", "NA", "NA"],
        ]


def test_a_gzipped_table_has_the_same_bytes_every_time(tmp_path):
    first, second = write(tmp_path / "a.tsv.gz"), write(tmp_path / "b.tsv.gz")
    assert first.read_bytes() == second.read_bytes()


def test_parquet_keeps_kinds_missing_values_and_provenance(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROW_GROUP", 1)
    path = write(tmp_path / "out.parquet", metadata={"genolm": "where from"})
    found = parquet.read_table(path)
    assert [list(row.values()) for row in found.to_pylist()] == ROWS
    assert found.schema.metadata[b"genolm"] == b"where from"
    assert parquet.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"


def test_a_parquet_without_rows_has_its_columns(tmp_path):
    assert parquet.read_table(write(tmp_path / "out.parquet", [])).column_names == [
        "name", "count", "value", "good",
    ]  # fmt: skip


def test_standard_output_is_tsv(capfdbinary):
    write("-", ROWS[:1])
    assert capfdbinary.readouterr().out == (
        b'name\tcount\tvalue\tgood\n"a,b\tc"\t1\t0.123456789\tTrue\n'
    )


@pytest.mark.parametrize("name", ["out.tsv", "out.csv.gz", "out.parquet"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, name):
    path = tmp_path / name
    path.write_text("old")

    def rows():
        yield from ROWS
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(path, rows)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_refused_first(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"out\.txt: a table's name ends in one of \.tsv"):
        check_table(tmp_path / "out.txt")
    with pytest.raises(UsageError, match="its folder does not exist"):
        check_table(tmp_path / "nowhere" / "out.tsv")
    (tmp_path / "folder.tsv").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        check_table(tmp_path / "folder.tsv")
    monkeypatch.setattr(columns, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'genolm\[tracks\]'"):
        check_table(tmp_path / "out.parquet")
