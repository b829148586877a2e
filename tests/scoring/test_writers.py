import gzip
import io

import pysam
import pytest
from pyarrow import parquet
from pysam import bcftools

from genolm.errors import InputError, UsageError
from genolm.genome.vcf import VcfReader
from genolm.scoring.fields import fields_of, ratio
from genolm.scoring.vcf_output import Provenance
from genolm.scoring.writers import SUFFIXES, Annotation, check_output, open_writer

HEADER = "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=5000>\n"
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
RECORDS = (
    "chr1\t0\t.\tN\t<DEL>\t.\t.\tEND=20\n"
    "chr1\t10\trs1\tA\tT,*\t30.50\tq10\tDP=3;FLAG;NOTE=x\n"
    "chr2\t5\t.\tA\t.\t.\tPASS\t.\n"
)
RESULTS = [["symbolic"], [ratio(-0.123456789, -0.1), "star"], ["no_alt"]]


def annotation_of(reader):
    origin = Provenance("1.0", "genolm score", "m", "0" * 64, "g.fa", "0" * 32)
    return Annotation(fields_of(["llr"]), origin, reader.header, reader.columns, reader.newline)


def write(path, text=HEADER + COLUMNS + "\n" + RECORDS, results=RESULTS):
    reader = VcfReader(io.StringIO(text, newline="\n"), "in.vcf")
    with open_writer(str(path), annotation_of(reader)) as write_record:
        for record, own in zip(reader, results, strict=True):
            write_record(record, own)
    return path


def records_of(text):
    return [line for line in text.splitlines() if line and not line.startswith("#")]


EXPECTED = [
    "chr1\t0\t.\tN\t<DEL>\t.\t.\tEND=20;GENOLM_LLR=.;GENOLM_SKIP=symbolic",
    "chr1\t10\trs1\tA\tT,*\t30.50\tq10\tDP=3;FLAG;NOTE=x;GENOLM_LLR=-0.111728394,.;"
    "GENOLM_SKIP=.,star",
    "chr2\t5\t.\tA\t.\t.\tPASS\tGENOLM_LLR=.;GENOLM_SKIP=no_alt",
]


def test_text_and_bgzip_hold_the_same_bytes(tmp_path):
    text = write(tmp_path / "out.vcf").read_bytes()
    assert records_of(text.decode()) == EXPECTED
    assert gzip.decompress(write(tmp_path / "out.vcf.gz").read_bytes()) == text


def test_standard_output_is_vcf(tmp_path, capfdbinary):
    text = write(tmp_path / "out.vcf").read_bytes()
    write("-")
    assert capfdbinary.readouterr().out == text


def test_carriage_returns_are_kept(tmp_path):
    whole = (HEADER + COLUMNS + "\n" + RECORDS).replace("\n", "\r\n")
    text = write(tmp_path / "out.vcf", whole).read_bytes()
    assert text.count(b"\r\n") == text.count(b"\n") == len(text.splitlines())
    assert [line.replace("\r", "") for line in records_of(text.decode())] == EXPECTED


def test_a_missing_last_line_end_stays_missing(tmp_path):
    text = write(tmp_path / "out.vcf", HEADER + COLUMNS + "\n" + RECORDS[:-1]).read_text()
    assert text.endswith("GENOLM_SKIP=no_alt")


def test_bgzip_is_indexed_by_position(tmp_path):
    path = write(tmp_path / "out.vcf.gz")
    assert (tmp_path / "out.vcf.gz.tbi").exists()
    with pysam.TabixFile(str(path)) as file:
        assert list(file.fetch("chr1", 5, 20)) == EXPECTED[:2]  # the deletion ends at 20
        assert list(file.fetch("chr2")) == EXPECTED[2:]


@pytest.mark.parametrize(
    "order", [[1, 0, 2], [0, 2, 1]], ids=["positions go back", "a contig comes twice"]
)
def test_unsorted_records_keep_their_order_without_index(tmp_path, order, capsys):
    lines = RECORDS.splitlines(keepends=True)
    (tmp_path / "out.vcf.gz.tbi").write_text("of an older file")
    path = write(
        tmp_path / "out.vcf.gz",
        HEADER + COLUMNS + "\n" + "".join(lines[i] for i in order),
        [RESULTS[i] for i in order],
    )
    assert records_of(gzip.decompress(path.read_bytes()).decode()) == [EXPECTED[i] for i in order]
    assert list(tmp_path.iterdir()) == [path]
    assert "not sorted by position, so it has no tabix index" in capsys.readouterr().err


def test_positions_beyond_a_tbi_get_a_csi(tmp_path):
    line = "chr1\t1073741824\t.\tA\tC\t.\t.\t.\n"
    path = write(tmp_path / "out.vcf.gz", HEADER + COLUMNS + "\n" + line, [["too_long"]])
    assert {one.name for one in tmp_path.iterdir()} == {"out.vcf.gz", "out.vcf.gz.csi"}
    with pysam.TabixFile(str(path), index=f"{path}.csi") as file:
        assert len(list(file.fetch("chr1", 1073741823, 1073741824))) == 1


def test_a_vcf_without_records_is_written_and_indexed(tmp_path):
    path = write(tmp_path / "out.vcf.gz", HEADER + COLUMNS + "\n", [])
    assert records_of(gzip.decompress(path.read_bytes()).decode()) == []
    assert (tmp_path / "out.vcf.gz.tbi").exists()


def test_bcf_declares_what_the_input_did_not_and_keeps_the_values(tmp_path):
    samples = HEADER + COLUMNS + "\tFORMAT\tS1\n"
    lines = [f"{line}\tGT:XX\t0/1:3\n" for line in RECORDS.splitlines()]
    path = write(tmp_path / "out.bcf", samples + "".join(lines))
    text = bcftools.view("--no-version", str(path))
    found = [line.split("\t") for line in records_of(text)]
    expected = [[*line.split("\t"), "GT:XX", "0/1:3"] for line in EXPECTED]
    expected[1][5] = "30.5"
    for one, other in zip(found, expected, strict=True):
        assert one[:7] + one[8:] == other[:7] + other[8:]
    with pysam.VariantFile(str(path)) as file:
        records = list(file)
        assert file.header.records is not None
        assert records[1].info["GENOLM_LLR"][0] == pytest.approx(-0.1117283945, rel=1e-7)
        assert records[1].info["GENOLM_LLR"][1] is None
        assert records[1].info["GENOLM_SKIP"] == (".", "star") or records[1].info[
            "GENOLM_SKIP"
        ] == (None, "star")
        assert records[1].info["FLAG"] is True
        assert "##genolmModel=<ID=m," in str(file.header)
    assert list(tmp_path.iterdir()) == [path]


def test_what_htslib_cannot_write_is_one_error_and_no_file(tmp_path):
    broken = HEADER + COLUMNS + "\n" + "chr1\t10\t.\tA\tC\t.\t.\tDP=3;\x01=;=5\n"
    broken = broken.replace("chr1\t10", "chr1\t99999999999999999999")
    with pytest.raises(InputError, match=r"out\.bcf: cannot be written as BCF \(.*\.vcf\.gz"):
        write(tmp_path / "out.bcf", broken, [["too_long"]])
    assert list(tmp_path.iterdir()) == []


def test_tables_have_a_row_for_every_allele(tmp_path):
    rows = [line.split("\t") for line in write(tmp_path / "out.tsv").read_text().splitlines()]
    assert rows == [
        ["chrom", "pos", "id", "ref", "alt", "GENOLM_LLR", "GENOLM_SKIP"],
        ["chr1", "0", ".", "N", "<DEL>", "NA", "symbolic"],
        ["chr1", "10", "rs1", "A", "T", "-0.111728394", "."],
        ["chr1", "10", "rs1", "A", "*", "NA", "star"],
        ["chr2", "5", ".", "A", ".", "NA", "no_alt"],
    ]
    found = parquet.read_table(write(tmp_path / "out.parquet"))
    assert found.column("pos").to_pylist() == [0, 10, 10, 5]
    assert found.column("GENOLM_LLR").null_count == 3
    assert b"##genolmModel=" in found.schema.metadata[b"genolm"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failure_leaves_no_file_behind(tmp_path, suffix):
    def results():
        yield RESULTS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / f"out{suffix}", results=results())
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_runs_fields_are_replaced_with_one_warning(tmp_path, capsys):
    first = write(tmp_path / "first.vcf").read_text()
    assert "scored before" not in capsys.readouterr().err
    second = write(tmp_path / "second.vcf", first).read_text()
    assert second == first
    assert capsys.readouterr().err.count("scored before") == 1


def test_an_output_of_unknown_kind_or_place_is_refused(tmp_path):
    check_output("-")
    for suffix in SUFFIXES:
        check_output(str(tmp_path / f"out{suffix.upper()}"))
    with pytest.raises(UsageError, match=r"out\.bam: an output's name ends in one of \.vcf"):
        check_output(str(tmp_path / "out.bam"))
    with pytest.raises(UsageError, match="its folder does not exist"):
        check_output(str(tmp_path / "nowhere" / "out.vcf"))
    (tmp_path / "folder.vcf").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        check_output(str(tmp_path / "folder.vcf"))
