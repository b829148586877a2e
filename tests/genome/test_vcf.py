import io
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genolm.errors import InputError, UsageError
from genolm.genome import VcfReader, open_vcf
from genolm.genome.compression import open_decompressed
from genolm.genome.vcf import ENCODING, ERRORS, pos_from_start, start_from_pos

COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
HEADER = f"##fileformat=VCFv4.2\n##contig=<ID=1,length=1000>\n{COLUMNS}\n"
RECORD = "1\t10\trs1\tA\tC,<DEL>\t.\tPASS\tDP=3;AF=0.10000"
FORMS = ["plain", "gzip", "bgzip"]


def rebuilt(reader):
    """Return the bytes of a file from what its reader gives."""
    lines = [line + reader.newline for line in [*reader.header, reader.columns]]
    lines += [record.line + record.newline for record in reader]
    return "".join(lines).encode(ENCODING, ERRORS)


@pytest.mark.parametrize("form", FORMS)
def test_header_and_records_are_parsed_and_kept(write, form):
    with open_vcf(write("x", f"{HEADER}{RECORD}\n", form)) as reader:
        assert reader.header == ["##fileformat=VCFv4.2", "##contig=<ID=1,length=1000>"]
        assert reader.columns == COLUMNS
        assert reader.contig_lengths == {"1": 1000}
        (record,) = reader
    assert record.line == RECORD
    assert (record.chrom, record.start, record.ref) == ("1", 9, "A")
    assert (record.alts, record.info) == (("C", "<DEL>"), "DP=3;AF=0.10000")
    assert (record.number, record.newline) == (4, "\n")
    assert reader.num_records == 1


def collect(records, got):
    """Append the lines of the records to ``got`` one by one, up to an error."""
    for record in records:
        got.append(record.line)


CELL = st.binary(max_size=12).filter(lambda cell: not set(cell) & set(b"\t\n\r"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    cells=st.lists(st.tuples(CELL, CELL, CELL, CELL, CELL), max_size=6),
    newline=st.sampled_from([b"\n", b"\r\n"]),
    ends=st.booleans(),
    meta=CELL,
    form=st.sampled_from(FORMS),
)
def test_any_byte_comes_out_as_it_went_in(write, cells, newline, ends, meta, form):
    columns = COLUMNS.encode() + b"\tFORMAT\tsample"
    lines = [b"##fileformat=VCFv4.2", b"##x=" + meta, columns]
    for name, quality, info, format_, sample in cells:
        lines.append(
            b"\t".join([b"1", b"5", name, b"A", b"C", quality, b".", info, format_, sample])
        )
    data = newline.join(lines) + (newline if ends or not cells else b"")
    assert rebuilt(open_vcf(write("x.vcf", data, form))) == data


def test_bytes_that_straddle_the_reading_buffers_survive(write):
    row = b"1\t5\t" + "é€😀".encode() + b"\xff\xfe\xe2\x82\tA\tC\t.\t.\tX=\xc3\n"
    data = HEADER.encode() + row * 40_000
    assert rebuilt(open_vcf(write("x.vcf", data))) == data


def test_only_line_feeds_end_a_line(write):
    info = "A=\x0b\x0c\x1c\x85\u2028\rB"
    (record,) = open_vcf(write("x.vcf", f"{HEADER}1\t5\t.\tA\tC\t.\t.\t{info}\n"))
    assert record.info == info


def test_mixed_line_ends_are_kept_line_by_line(write):
    text = f"{HEADER}{RECORD}\r\n{RECORD}\n{RECORD}"
    assert [r.newline for r in open_vcf(write("x.vcf", text))] == ["\r\n", "\n", ""]


def test_crlf_files_have_clean_columns(write):
    reader = open_vcf(write("x.vcf", f"{HEADER}{RECORD}\n".replace("\n", "\r\n")))
    assert (reader.newline, reader.columns) == ("\r\n", COLUMNS)
    assert next(iter(reader)).info == "DP=3;AF=0.10000"


def test_a_header_without_newline_still_has_a_usable_one(write):
    reader = open_vcf(write("x.vcf", HEADER.rstrip("\n")))
    assert (list(reader), reader.newline) == ([], "\n")


@pytest.mark.parametrize("columns", [COLUMNS, f"{COLUMNS}\tFORMAT", f"{COLUMNS}\tFORMAT\ts1"])
def test_contig_lines_and_samples_are_optional(write, columns):
    more = "\tGT\t0/1" if columns.endswith("s1") else ""
    reader = open_vcf(write("x.vcf", f"{columns}\n{RECORD}{more}\n\n\r\n"))
    assert [record.line for record in reader] == [RECORD + more]
    assert reader.contig_lengths == {}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("##contig=<ID=chr1,length=5>", {"chr1": 5}),
        ("##contig=<length=5,assembly=x,ID=chr1>", {"chr1": 5}),
        ('##contig=<ID=HLA:A*01,assembly="a,b",length=7,md5=0>', {"HLA:A*01": 7}),
        ("##contig=<ID=chr1>", {}),
        ("##contigs=<ID=chr1,length=5>", {}),
    ],
)
def test_contig_lengths_come_from_the_header(line, expected):
    assert VcfReader([f"{line}\n", f"{COLUMNS}\n"], "x").contig_lengths == expected


@pytest.mark.parametrize(
    ("alt", "expected"), [(".", (".",)), ("*", ("*",)), ("<DEL>", ("<DEL>",)), ("C,*", ("C", "*"))]
)
def test_alternate_alleles_are_split_and_not_judged(write, alt, expected):
    (record,) = open_vcf(write("x.vcf", f"{HEADER}1\t0\t.\tN\t{alt}\t.\t.\t.\n"))
    assert record.alts == expected
    assert record.start == -1


@given(st.integers(0, 10**9))
def test_the_two_conversions_undo_each_other(pos):
    assert pos_from_start(start_from_pos(pos)) == pos
    assert start_from_pos(1) == 0


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1\t10\t.\tA\tC\t.\t.", r"x\.vcf:5: 7 tab-separated column\(s\)"),
        ("1 10 . A C . . .", r"x\.vcf:5: 1 tab-separated column\(s\)"),
        ("1\tten\t.\tA\tC\t.\t.\t.", r"x\.vcf:5: POS 'ten' is not a whole number"),
        ("1\t-3\t.\tA\tC\t.\t.\t.", r"x\.vcf:5: POS '-3'"),
        ("1\t1_0\t.\tA\tC\t.\t.\t.", r"x\.vcf:5: POS '1_0'"),
        ("1\t²\t.\tA\tC\t.\t.\t.", r"x\.vcf:5: POS '²'"),
        ("1\t10\t.\t\tC\t.\t.\t.", r"x\.vcf:5: CHROM, REF or ALT is empty"),
        ("1\t10\t.\tA\t\t.\t.\t.", r"x\.vcf:5: CHROM, REF or ALT is empty"),
        (COLUMNS, r"x\.vcf:5: "),
        ("##fileformat=VCFv4.2", r"x\.vcf:5: a header line among the records"),
    ],
)
def test_a_malformed_line_is_named_after_all_lines_before_it(write, row, message):
    records = iter(open_vcf(write("x.vcf", f"{HEADER}{RECORD}\n{row}\n{RECORD}\n")))
    assert next(records).line == RECORD
    with pytest.raises(InputError, match=message) as raised:
        next(records)
    assert "\n" not in str(raised.value)


def test_a_line_with_too_few_samples_is_cut(write):
    text = f"{COLUMNS}\tFORMAT\ts1\ts2\n{RECORD}\tGT\t0/1\n"
    with pytest.raises(InputError, match=r"x\.vcf:2: 10 columns, but the #CHROM line has 11"):
        list(open_vcf(write("x.vcf", text)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"x\.vcf is empty"),
        ("\n\n", r"x\.vcf is empty"),
        (
            f"{RECORD}\n",
            r"x\.vcf:1: no VCF header; add one: \(printf '##fileformat=VCFv4\.2\\n#CHROM",
        ),
        (f"##fileformat=VCFv4.2\n{RECORD}\n", r"x\.vcf:2: a record before the #CHROM line"),
        ("##fileformat=VCFv4.2\n", "the header has no #CHROM line"),
        (COLUMNS.replace("\t", " ") + "\n", r"x\.vcf:1: the #CHROM line must begin with"),
        ("<html>", "not a VCF file but an HTML or XML page"),
        (">chr1\nACGT\n", "not a VCF file but a FASTA file"),
        ("\ufeff" + HEADER, "byte-order mark"),
    ],
)
def test_what_has_no_header_gets_one_line_that_says_what_to_do(write, text, message):
    with pytest.raises(InputError, match=message) as raised:
        open_vcf(write("x.vcf", text))
    assert "\n" not in str(raised.value)


def test_the_header_command_makes_a_readable_file(write, tmp_path):
    path = write("my x.vcf", f"{RECORD}\n")
    with pytest.raises(InputError) as raised:
        open_vcf(path)
    command = str(raised.value).partition("add one: ")[2]
    subprocess.run(["bash", "-c", command], check=True, cwd=tmp_path)
    (record,) = open_vcf(tmp_path / "my x.with_header.vcf")
    assert record.line == RECORD


@pytest.mark.parametrize("form", ["gzip", "bgzip"])
def test_truncated_gzip_gives_its_complete_records_first(write, form):
    rows = [f"1\t{pos}\trs{pos}\tA\tC\t.\tPASS\tDP={pos % 97}" for pos in range(1, 20_001)]
    data = write("x.vcf.gz", HEADER + "\n".join(rows) + "\n", form).read_bytes()
    records = iter(open_vcf(write("x.vcf.gz", data[: len(data) // 2])))
    got = []
    with pytest.raises(InputError, match=r"x\.vcf\.gz: truncated .* complete records") as raised:
        collect(records, got)
    assert 1000 < len(got) < 20_000
    assert got == rows[: len(got)]
    assert f"{len(got):,} complete records were read" in str(raised.value)


def test_bgzip_without_its_end_marker_gives_every_record_and_then_an_error(write):
    data = write("x.vcf.gz", f"{HEADER}{RECORD}\n", "bgzip").read_bytes()
    reader = open_vcf(write("x.vcf.gz", data[:-28]))
    records = iter(reader)
    assert next(records).line == RECORD
    with pytest.raises(InputError, match="end marker is missing"):
        next(records)


@pytest.mark.parametrize("form", FORMS)
def test_standard_input_is_a_source_like_any_other(write, form, monkeypatch):
    data = write("x", f"{HEADER}{RECORD}\n", form).read_bytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    assert [record.line for record in open_vcf("-")] == [RECORD]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"")))
    with pytest.raises(InputError, match="standard input is empty"):
        open_vcf("-")


def test_a_missing_file_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        open_vcf(tmp_path / "none.vcf")


def test_reading_keeps_up_with_300_000_records_a_second(write):
    path = write("x.vcf", HEADER + f"{RECORD}\n" * 60_000)
    times = []
    for _ in range(5):
        start = time.process_time()
        assert sum(1 for _ in open_vcf(path)) == 60_000
        times.append(time.process_time() - start)
    assert 60_000 / min(times) > 300_000


def test_a_real_callset_comes_out_byte_for_byte(data_folder):
    for path in sorted((data_folder / "variants").glob("*/*.vcf.gz")):
        with open_decompressed(path) as stream:
            assert rebuilt(open_vcf(path)) == stream.read()
