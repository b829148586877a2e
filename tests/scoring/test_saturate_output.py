import gzip

import numpy as np
import pytest
from pysam import bcftools

from genolm.errors import UsageError
from genolm.scoring.fields import fields_of, ratio
from genolm.scoring.saturate import SiteBlock
from genolm.scoring.saturate_bigwig import BIGWIG_SUFFIXES
from genolm.scoring.saturate_heading import Heading, saturation_fields
from genolm.scoring.saturate_output import (
    SUFFIXES,
    check_saturation_output,
    open_saturation,
    site_values,
)
from genolm.scoring.vcf_output import Provenance

PROVENANCE = Provenance("1.2", "genolm saturate x", "m", "ab" * 32, "g.fa", "cd" * 16)
CONTIGS = {"chr1": 400, "chr2": 90}
BLOCKS = [
    SiteBlock(
        0,
        "chr1",
        8,
        "CNG",
        (ratio(-1, -2), ratio(3, 1), ratio(0, -5), *[ratio(-0.25, -0.123456789)] * 3),
    ),
    SiteBlock(0, "chr1", 11, "T", (ratio(1, 1),) * 3),
    SiteBlock(1, "chr2", 0, "A", (ratio(-1, -1), ratio(-2, -2), ratio(-3, -3))),
]
SNVS = [
    ("chr1", 9, "C", "A"), ("chr1", 9, "C", "G"), ("chr1", 9, "C", "T"),
    ("chr1", 11, "G", "A"), ("chr1", 11, "G", "C"), ("chr1", 11, "G", "T"),
    ("chr1", 12, "T", "A"), ("chr1", 12, "T", "C"), ("chr1", 12, "T", "G"),
    ("chr2", 1, "A", "C"), ("chr2", 1, "A", "G"), ("chr2", 1, "A", "T"),
]  # fmt: skip
LLRS = [-1.5, 2, -2.5, *[-0.1867283945] * 3, 1, 1, 1, -1, -2, -3]
FORWARD = [-1, 3, 0, *[-0.25] * 3, 1, 1, 1, -1, -2, -3]


@pytest.fixture
def write(tmp_path):
    def run(name, scores=("llr",), value="mean", blocks=BLOCKS):
        path = str(tmp_path / name) if name != "-" else name
        heading = Heading(fields_of(scores), PROVENANCE, CONTIGS, value)
        with open_saturation(path, heading) as write_block:
            for block in blocks:
                write_block(block)
        return tmp_path / name

    return run


@pytest.mark.parametrize("name", ["out.tsv", "out.TSV.gz", "out.csv", "out.csv.gz", "-"])
def test_a_table_has_a_row_for_every_snv_under_its_provenance(write, capfd, name):
    path = write(name, ("llr_strands", "llr"))
    data = capfd.readouterr().out.encode() if name == "-" else path.read_bytes()
    text = (gzip.decompress(data) if name.endswith(".gz") else data).decode()
    lines = text.splitlines()
    assert lines[:4] == PROVENANCE.lines()
    assert all(line.startswith("#") for line in lines[:4])
    rows = [line.split("," if ".csv" in name else "\t") for line in lines[4:]]
    assert rows[0] == [
        "chrom",
        "pos",
        "ref",
        "alt",
        "GENOLM_LLR_FWD",
        "GENOLM_LLR_REV",
        "GENOLM_LLR",
    ]
    assert [(row[0], int(row[1]), *row[2:4]) for row in rows[1:]] == SNVS
    assert [float(row[6]) for row in rows[1:]] == pytest.approx(LLRS, rel=1e-8)
    assert [float(row[4]) for row in rows[1:]] == pytest.approx(FORWARD, rel=1e-8)


def test_parquet_holds_the_same(write):
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs pyarrow")
    table = parquet.read_table(write("out.parquet"))
    assert table.column_names == ["chrom", "pos", "ref", "alt", "GENOLM_LLR"]
    columns = table.to_pydict()
    assert list(zip(*[columns[n] for n in table.column_names[:4]], strict=True)) == SNVS
    assert columns["GENOLM_LLR"] == pytest.approx(LLRS)
    assert table.schema.metadata[b"genolm"].decode().split("\n") == PROVENANCE.lines()


@pytest.mark.parametrize("name", ["out.vcf", "out.vcf.gz", "out.vcf.bgz", "out.bcf"])
def test_bcftools_reads_every_record_and_the_header(write, name):
    path = str(write(name))
    query = "%CHROM\t%POS\t%REF\t%ALT\t%ID\t%QUAL\t%FILTER\t%GENOLM_LLR\t%GENOLM_SKIP\n"
    rows = [line.split("\t") for line in bcftools.query("-f", query, path).splitlines()]
    assert [(row[0], int(row[1]), *row[2:4]) for row in rows] == SNVS
    assert {tuple(row[4:7]) + tuple(row[8:]) for row in rows} == {(".", ".", ".", ".")}
    assert [float(row[7]) for row in rows] == pytest.approx(LLRS, rel=1e-5)
    header = bcftools.view("-h", "--no-version", path).splitlines()
    assert header[0] == "##fileformat=VCFv4.2"
    assert set(PROVENANCE.lines()) < set(header)
    assert {"##contig=<ID=chr1,length=400>", "##contig=<ID=chr2,length=90>"} < set(header)


def test_the_index_of_a_bgzipped_vcf_finds_a_site(write):
    path = write("out.vcf.gz")
    assert path.with_name("out.vcf.gz.tbi").exists()
    found = bcftools.query("-f", "%ALT\n", "-r", "chr1:11-11", str(path))
    assert found.split() == ["A", "C", "T"]


def test_npz_holds_dense_arrays_that_need_no_pickle(write):
    with np.load(write("out.npz", ("llr", "llr_strands")), allow_pickle=False) as found:
        assert found["scores"].shape == (5, 4)
        assert found["ref"].tolist() == list("CNGTA")
        assert found["positions"].tolist() == [8, 9, 10, 11, 0]
        spans = [found[name].tolist() for name in ("chrom", "start", "end")]
        assert spans == [["chr1", "chr2"], [8, 0], [12, 1]]
        np.testing.assert_array_equal(found["scores"][0], [-1.5, np.nan, 2, -2.5])
        np.testing.assert_array_equal(found["scores"][1], [np.nan] * 4)
        np.testing.assert_array_equal(found["scores"][4], [np.nan, -1, -2, -3])
        np.testing.assert_array_equal(found["scores_fwd"][0], [-1, np.nan, 3, 0])
        np.testing.assert_array_equal(found["scores_rev"][0], [-2, np.nan, 1, -5])
        assert str(found["provenance"]).split("\n") == PROVENANCE.lines()


@pytest.mark.parametrize(("value", "first"), [("mean", 2.0), ("min", -2.5)])
@pytest.mark.parametrize("name", ["out.bedgraph", "out.bedGraph.gz"])
def test_a_bedgraph_has_one_half_open_line_for_every_base_but_n(write, name, value, first):
    data = write(name, value=value).read_bytes()
    lines = (gzip.decompress(data) if name.endswith("gz") else data).decode().splitlines()
    assert lines[:4] == PROVENANCE.lines()
    rows = [line.split("\t") for line in lines[4:]]
    assert [(row[0], int(row[1]), int(row[2])) for row in rows] == [
        ("chr1", 8, 9), ("chr1", 10, 11), ("chr1", 11, 12), ("chr2", 0, 1),
    ]  # fmt: skip
    assert float(rows[0][3]) == first
    assert float(rows[3][3]) == (2.0 if value == "mean" else -3.0)


def test_values_of_a_base_take_what_was_scored():
    scores = np.array([[-1.0, np.nan, 2.0, -6.0], [np.nan] * 4])
    np.testing.assert_array_equal(site_values(scores, "mean"), [3.0, np.nan])
    np.testing.assert_array_equal(site_values(scores, "min"), [-6.0, np.nan])


@pytest.mark.parametrize("suffix", [one for one in SUFFIXES if one not in BIGWIG_SUFFIXES])
def test_every_format_can_be_empty_and_is_never_half(write, tmp_path, suffix):
    check_saturation_output(str(tmp_path / f"out{suffix}"))
    write(f"out{suffix}", blocks=[])
    assert (tmp_path / f"out{suffix}").exists()
    before = sorted(path.name for path in tmp_path.iterdir())

    def blocks():
        yield BLOCKS[0]
        raise KeyboardInterrupt

    for name in (f"out{suffix}", f"other{suffix}"):
        with pytest.raises(KeyboardInterrupt):
            write(name, blocks=blocks())
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("out.bed", "mean", r"ends in one of \.tsv"),
        ("nowhere/out.tsv", "mean", "its folder does not exist"),
        ("out.bedgraph", "max", "--bedgraph-value max: choose one of mean, min"),
    ],
)
def test_what_cannot_be_written_is_said_first(tmp_path, name, value, message):
    with pytest.raises(UsageError, match=message):
        check_saturation_output(str(tmp_path / name), value)


def test_only_log_likelihood_ratios_are_given():
    with pytest.raises(UsageError, match="unknown score 'dist'; available are llr, llr_strands"):
        saturation_fields(["llr", "dist"])
