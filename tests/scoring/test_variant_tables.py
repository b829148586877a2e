import csv
import gzip
import io
import itertools

import pyarrow as pa
import pytest
from pyarrow import parquet
from pysam import bcftools

from genolm.data.variant_tables import open_variant_table
from genolm.errors import InputError
from genolm.scoring.runtime import Runtime
from genolm.scoring.score_file import ScoringJob, score_file

ADDED = ["GENOLM_LLR", "GENOLM_SKIP"]


@pytest.fixture
def scored(tmp_path, fasta_path, model_folders):
    """Score an input and return the path of the output."""

    def run(source, output, **options):
        score_file(
            ScoringJob(
                vcf=str(source),
                reference=str(fasta_path),
                model=str(model_folders / "ps"),
                output=str(tmp_path / output),
                runtime=Runtime("cpu"),
                **options,
            )
        )
        return tmp_path / output

    return run


@pytest.fixture
def rows(contigs):
    """Rows with columns in an order of their own: a note, the position, REF, ALT, contig, id."""
    bases = contigs["chr1"].upper()
    other = {"A": "C", "C": "G", "G": "T", "T": "A"}
    return [
        ["plain", "51", bases[50], other[bases[50]], "chr1", "rs1"],
        ['a "quoted", cell', "61", bases[60], f"{other[bases[60]]},<DEL>", "1", ""],
        ["", "71", bases[70:72].lower(), bases[70], "chr1", "two words"],
        ["ümlaut", "9", "N", "A", "chr1", "x"],
        ["no such contig", "5", "A", "C", "chrQ", "y"],
        ["unsorted", "31", bases[30], other[bases[30]], "chr1", "z"],
    ]


HEADINGS = ["note", "Position", "REF", "alt", "#CHROM", "ID"]


def write_text(path, rows, headings=HEADINGS):
    text = io.StringIO()
    delimiter = "\t" if ".tsv" in path.name else ","
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerows([headings, *rows])
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def read_text(path):
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", newline="", encoding="utf-8") as lines:
        return list(csv.reader(lines, delimiter="\t" if ".tsv" in path.name else ","))


@pytest.mark.parametrize("name", ["in.tsv", "in.csv", "in.tsv.gz", "in.csv.gz"])
@pytest.mark.parametrize("output", ["out.tsv", "out.csv.gz"])
def test_every_column_and_row_comes_out_in_order_with_ours_after_them(
    tmp_path, rows, scored, name, output
):
    found = read_text(scored(write_text(tmp_path / name, rows), output))
    assert found[0] == [*HEADINGS, *ADDED]
    assert [row[: len(HEADINGS)] for row in found[1:]] == rows
    skips = [row[-1] for row in found[1:]]
    assert skips == [".", ".,symbolic", ".", "non_acgt_ref", "contig_missing", "."]
    assert [value == "NA" for value in (row[-2] for row in found[1:])] == [
        False, False, False, True, True, False,
    ]  # fmt: skip
    first, second = found[2][-2].split(",")
    assert (float(first), second) == (float(first), "NA")


def test_a_table_and_a_vcf_of_the_same_variants_have_the_same_scores(tmp_path, rows, scored):
    vcf = scored(write_text(tmp_path / "in.tsv", rows), "out.vcf")
    again = scored(vcf, "again.vcf")
    assert again.read_bytes() == vcf.read_bytes()
    lines = [line for line in vcf.read_text().splitlines() if line[0] != "#"]
    assert [line.split("\t")[2] for line in lines] == ["rs1", ".", ".", "x", "y", "z"]
    assert len(bcftools.view("-H", str(vcf)).splitlines()) == len(rows)
    table = read_text(scored(tmp_path / "in.tsv", "out.tsv"))[1:]
    for line, row in zip(lines, table, strict=True):
        assert f"GENOLM_LLR={row[-2].replace('NA', '.')};GENOLM_SKIP={row[-1]}" in line


def test_parquet_keeps_types_and_adds_numbers(tmp_path, contigs, scored):
    bases = contigs["chr1"].upper()
    alts = ["C" if bases[i] != "C" else "G" for i in range(5)]
    table = pa.table(
        {
            "chr": pa.array(["chr1"] * 5).dictionary_encode(),
            "pos": pa.array([1, 2, 3, 4, 5], pa.int32()),
            "ref": list(bases[:5]),
            "alt": alts,
            "af": pa.array([0.1, None, 0.3, 1 / 3, 1e-30], pa.float32()),
            "tags": [["a"], [], None, ["b", "c"], ["d"]],
        }
    )
    parquet.write_table(table, tmp_path / "in.parquet")
    found = parquet.read_table(scored(tmp_path / "in.parquet", "out.parquet"))
    assert found.select(table.column_names).cast(table.schema).equals(table)
    assert [found.schema.field(n).type for n in table.column_names] == list(table.schema.types)
    assert found.schema.field("GENOLM_LLR").type == pa.float64()
    assert found["GENOLM_LLR"].null_count == 0
    assert b"##genolmModel=" in found.schema.metadata[b"genolm"]
    text = read_text(scored(tmp_path / "in.parquet", "out.tsv"))
    assert [float(row[4]) for row in text[1:] if row[4] != "NA"] == [
        value for value in table["af"].to_pylist() if value is not None
    ]


def test_several_alts_in_parquet_make_the_column_text(tmp_path, rows, scored):
    path = scored(write_text(tmp_path / "in.csv", rows), "out.parquet")
    found = parquet.read_table(path).to_pydict()
    assert found["Position"] == [int(row[1]) for row in rows]
    assert found["GENOLM_LLR"] == [
        None if value == "NA" else value
        for *_, value, _ in read_text(scored(tmp_path / "in.csv", "out.tsv"))[1:]
    ]


def test_scoring_a_table_again_replaces_our_columns(tmp_path, rows, scored, capsys):
    first = scored(write_text(tmp_path / "in.tsv", rows), "out.tsv")
    second = scored(first, "again.tsv")
    assert second.read_bytes() == first.read_bytes()
    assert capsys.readouterr().err.count("scored before") == 1


BAD = [
    (0, None, r":1: no column pos \(or position\); .* this one has"),
    (1, "", r"in\.csv:3: column Position holds ''; write the position as a whole number"),
    (1, "1e3", r"in\.csv:3: column Position holds '1e3'; write the position as a whole number"),
    (1, "-4", r"in\.csv:3: column Position holds '-4'"),
    (2, " ", r"in\.csv:3: column REF holds ' '; no allele is written '\.'"),
    (3, "", r"in\.csv:3: column alt holds ''; no allele is written '\.'"),
    (4, "", r"in\.csv:3: column #CHROM holds ''; name a contig"),
    (4, "chr\t1", r"in\.csv:3: column #CHROM holds 'chr\\t1'; name a contig"),
]


@pytest.mark.parametrize(("place", "value", "message"), BAD)
def test_a_bad_cell_is_named_with_its_place(tmp_path, rows, scored, place, value, message):
    headings = list(HEADINGS)
    if value is None:
        headings[1] = "where"
    else:
        rows[1][place] = value
    with pytest.raises(InputError, match=message):
        scored(write_text(tmp_path / "in.csv", rows, headings), "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"chrom,pos,ref,alt\nchr1,1,A\n", r"in\.csv:2: 3 cells where the header has 4"),
        (b"chrom,pos,POS,ref,alt\n", "two columns are called pos"),
        (gzip.compress(b"chrom,pos,ref,alt\n" + b"chr1,1,A,C\n" * 9)[:-12], "truncated gzip"),
    ],
    # The date in a gzip header would make a name that two workers disagree on.
    ids=["empty", "cells", "columns", "truncated"],
)
def test_a_broken_table_is_one_error(tmp_path, scored, data, message):
    (tmp_path / "in.csv").write_bytes(data)
    with pytest.raises(InputError, match=message):
        scored(tmp_path / "in.csv", "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_what_is_no_parquet_or_holds_no_position_is_one_error(tmp_path, scored):
    (tmp_path / "in.parquet").write_bytes(b"PAR1 not at all")
    with pytest.raises(InputError, match="not a readable Parquet file"):
        scored(tmp_path / "in.parquet", "out.csv")
    columns = {"chrom": ["chr1"], "pos": [None], "ref": ["A"], "alt": ["C"]}
    parquet.write_table(pa.table(columns), tmp_path / "in.parquet")
    with pytest.raises(InputError, match=r"in\.parquet: row 1: column pos holds None"):
        scored(tmp_path / "in.parquet", "out.csv")


def test_a_table_of_another_build_publishes_nothing(tmp_path, contigs, scored):
    wrong = {"A": "C", "C": "G", "G": "T", "T": "A"}
    lines = [f"chr1\t{i + 1}\t{wrong[contigs['chr1'][i].upper()]}\tA\n" for i in range(50)]
    (tmp_path / "in.tsv").write_text("chrom\tpos\tref\talt\n" + "".join(lines))
    with pytest.raises(InputError, match=r"wrong genome build\?; nothing was published"):
        scored(tmp_path / "in.tsv", "out.tsv")
    with pytest.raises(InputError, match=r"in\.tsv:2: REF . does not stand at chr1:1"):
        scored(tmp_path / "in.tsv", "out.tsv", strict=True)


def test_rows_are_read_one_by_one(tmp_path):
    (tmp_path / "in.tsv").write_text("chrom\tpos\tref\talt\n" + "chr1\t1\tA\tC\n" * 3 + "chr1\tx\n")
    records = open_variant_table(str(tmp_path / "in.tsv")).records()
    assert [one.start for one in itertools.islice(records, 3)] == [0, 0, 0]
    with pytest.raises(InputError, match=r"in\.tsv:5: 2 cells"):
        next(records)
