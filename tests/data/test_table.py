"""Tables are read by what their names say, and errors name file and line."""

import gzip
import sys

import pytest

from genolm.data.table import read_columns
from genolm.errors import InputError, UsageError

ROWS = [("ACGT", "yes", "1"), ("GG,T", "", "2"), ("T", "no", "3")]


@pytest.fixture
def write(tmp_path):
    def write(name, text, *, compress=False):
        data = text if isinstance(text, bytes) else text.encode("utf-8")
        (tmp_path / name).write_bytes(gzip.compress(data) if compress else data)
        return tmp_path / name

    return write


CSV = 'seq,label,n\nACGT,yes,1\n"GG,T",,2\n\nT, no ,3\n'
TSV = "seq\tlabel\tn\nACGT\tyes\t1\nGG,T\t\t2\n\nT\tno\t3\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", CSV),
        ("a.CSV", CSV),
        ("a.tsv", TSV),
        ("a.txt", TSV),
        ("bom.csv", "\ufeff" + CSV),
        ("dos.csv", CSV.replace("\n", "\r\n")),
    ],
)
@pytest.mark.parametrize("compress", [False, True])
def test_columns_come_in_the_order_asked_for_with_their_lines(write, name, text, compress):
    path = write(name + (".gz" if compress else ""), text, compress=compress)
    columns = read_columns(path, ["label", "seq"])
    assert columns.values == [[row[1] for row in ROWS], [row[0] for row in ROWS]]
    assert columns.lines == [2, 3, 5]


def test_parquet_gives_the_same(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pa.table({"seq": ["AC", "G"], "label": [1, None], "other": [0.5, 1.5]})
    parquet.write_table(table, tmp_path / "a.parquet")
    columns = read_columns(tmp_path / "a.parquet", ["label", "seq"])
    assert columns.values == [["1", ""], ["AC", "G"]]
    assert columns.lines == [1, 2]


def test_without_pyarrow_the_message_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install 'genolm\[tracks\]'"):
        read_columns(tmp_path / "a.parquet", ["seq"])


def test_a_sequence_longer_than_python_s_limit_is_read(write):
    long = "ACGT" * 100_000
    assert read_columns(write("a.csv", f"seq\n{long}\n"), ["seq"]).values == [[long]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seq,label\nA,1\n", r":1: no column 'n'; the columns are seq, label"),
        ("n,seq,n\n1,A,1\n", r":1: 2 columns 'n'"),
        ("seq,n\nA,1\nC\n", r":3: 1 cells where the header has 2"),
        ("seq,n\nA,1\nC,2,3\n", r":3: 3 cells where the header has 2"),
        ('seq,n\nA,1\n"C,2\n', r":3: "),
        ("seq,n\n", r": no row below the header"),
        ("\n\n", r": empty; a table begins with a line of column names"),
        ("", r": empty"),
        (b"seq,n\nA,1\nC,\xff\n", r"not UTF-8"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(write, text, message):
    with pytest.raises(InputError, match=message) as caught:
        read_columns(write("a.csv", text), ["seq", "n"])
    assert "\n" not in str(caught.value)


def test_a_headerless_file_shows_only_the_beginning_of_its_first_row(write):
    with pytest.raises(InputError) as caught:
        read_columns(write("a.csv", "ACGT" * 500 + ",1\nACGT,0\n"), ["sequence"])
    assert len(str(caught.value)) < 300


def test_truncated_gzip_is_an_error(tmp_path):
    data = gzip.compress(("seq\n" + "ACGT\n" * 5000).encode())
    (tmp_path / "a.csv.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="truncated gzip"):
        read_columns(tmp_path / "a.csv.gz", ["seq"])


def test_a_parquet_file_that_is_none_is_an_error(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "a.parquet").write_text("seq\nACGT\n", encoding="ascii")
    with pytest.raises(InputError, match="not a readable Parquet file"):
        read_columns(tmp_path / "a.parquet", ["seq"])


@pytest.mark.parametrize("name", ["a.fasta", "a", "a.gz"])
def test_a_name_that_says_nothing_is_wrong_usage(write, name):
    with pytest.raises(UsageError, match=r"ends in \.csv, \.tsv or \.parquet"):
        read_columns(write(name, CSV), ["seq"])


def test_a_missing_file_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        read_columns(tmp_path / "a.csv", ["seq"])
