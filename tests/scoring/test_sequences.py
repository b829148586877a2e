import gzip
import io
import sys

import pyarrow as pa
import pytest
from pyarrow import parquet

from genolm.data import columns
from genolm.errors import InputError, UsageError
from genolm.genome.sequence import reverse_complement
from genolm.scoring.sequences import chunks, read_sequences

FASTA_TEXT = ">one first\nACGT\nacg\n\n>two\nNNA\r\n>three\nA"


@pytest.fixture
def put(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def rows_of(table):
    return [(row.values, row.sequence) for row in table.rows]


@pytest.mark.parametrize("name", ["in.fa", "in.fasta", "in.FNA", "in.fa.gz"])
def test_fasta_gives_names_and_joined_lines(put, name):
    packed = gzip.compress(FASTA_TEXT.encode()) if name.endswith("gz") else FASTA_TEXT
    table = read_sequences(put(name, packed))
    assert [column.name for column in table.columns] == ["name"]
    assert rows_of(table) == [(("one first",), "ACGTacg"), (("two",), "NNA"), (("three",), "A")]


def test_standard_input_is_fasta(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(FASTA_TEXT.encode())))
    assert len(rows_of(read_sequences("-"))) == 3


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("in.csv", 'id,sequence,note\n1,ACGT,"a,b"\n\n2,TT,\n'),
        ("in.tsv", 'id\tsequence\tnote\r\n1\tACGT\t"a,b"\r\n2\tTT\t\r\n'),
        ("in.csv.gz", gzip.compress(b'id,sequence,note\n1,ACGT,"a,b"\n2,TT,\n', mtime=0)),
    ],
)
def test_tables_keep_all_their_columns(put, name, text):
    table = read_sequences(put(name, text))
    assert [column.name for column in table.columns] == ["id", "sequence", "note"]
    assert rows_of(table) == [(("1", "ACGT", "a,b"), "ACGT"), (("2", "TT", ""), "TT")]


def test_the_column_can_be_chosen(put):
    table = read_sequences(put("in.csv", "dna,sequence\nA,C\n"), column="dna")
    assert rows_of(table) == [(("A", "C"), "A")]


def test_parquet_keeps_the_kinds_of_its_columns(tmp_path):
    columns = {"n": [1, None], "sequence": ["ACGT", "TT"], "x": [0.5, 2.0], "ok": [True, False]}
    parquet.write_table(pa.table(columns), tmp_path / "in.parquet")
    table = read_sequences(tmp_path / "in.parquet")
    assert [column.kind for column in table.columns] == ["integer", "text", "real", "truth"]
    assert rows_of(table) == [
        ((1, "ACGT", 0.5, True), "ACGT"),
        ((None, "TT", 2.0, False), "TT"),
    ]


def test_bed_intervals_take_their_bases_and_strand_from_the_fasta(put, fasta_path, contigs):
    bed = put("in.bed", "1\t10\t20\tfirst\t0\t-\nchr2\t5\t9\n")
    table = read_sequences(bed, fasta=fasta_path)
    assert [column.name for column in table.columns] == ["chrom", "start", "end", "name", "strand"]
    assert rows_of(table) == [
        (("chr1", 10, 20, "first", "-"), reverse_complement(contigs["chr1"][10:20])),
        (("chr2", 5, 9, ".", "+"), contigs["chr2"][5:9]),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("in.csv", "id,dna\n1,A\n", r"in\.csv: no column 'sequence'; there are id, dna"),
        ("in.csv", "", r"in\.csv: empty"),
        ("in.csv", "sequence,x\nA,1\nC\n", r"in\.csv:3: 1 cells where the header has 2"),
        ("in.csv", "sequence\nA\n \n", r"in\.csv:3: the sequence is empty"),
        ("in.csv", "sequence\nAC-G\n", r"in\.csv:2: byte 0x2D '-' at position 3"),
        ("in.fa", ">a\nAC\n>b\n>c\nA\n", r"in\.fa:3: >b: the sequence is empty"),
        ("in.fa", "ACGT\n", r"in\.fa:1: a FASTA begins with a line like >name"),
        ("in.fa", "", r"in\.fa: no sequence in this FASTA"),
        ("in.parquet", "PAR1", r"in\.parquet: not a readable Parquet file"),
    ],
)
def test_bad_content_is_named_with_its_place(put, name, text, message):
    with pytest.raises(InputError, match=message):
        list(read_sequences(put(name, text)).rows)


def test_an_interval_past_the_end_of_its_contig_is_an_error(put, fasta_path):
    with pytest.raises(InputError, match=r"in\.bed:1: the interval ends at 500"):
        read_sequences(put("in.bed", "chr1\t10\t500\n"), fasta=fasta_path)


def test_what_is_not_there_or_not_known_is_wrong_usage(put, fasta_path, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="no such file"):
        read_sequences(tmp_path / "missing.csv")
    with pytest.raises(UsageError, match="the name tells no known format"):
        read_sequences(put("in.xyz", "A"))
    with pytest.raises(UsageError, match="intervals need the genome"):
        read_sequences(put("in.bed", "chr1\t1\t2\n"))
    with pytest.raises(UsageError, match="holds its own sequences"):
        read_sequences(put("in.fa", FASTA_TEXT), fasta=fasta_path)
    monkeypatch.setattr(columns, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install"):
        read_sequences(put("in.parquet", "PAR1"))


def test_chunks_keep_order_and_lose_nothing(put):
    table = read_sequences(put("in.fa", FASTA_TEXT))
    assert [[row.sequence for row in some] for some in chunks(table.rows, 2)] == [
        ["ACGTacg", "NNA"],
        ["A"],
    ]
