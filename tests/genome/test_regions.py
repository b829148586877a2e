import itertools

import pysam
import pysam.bcftools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genolm.errors import InputError, UsageError
from genolm.genome.regions import Regions
from genolm.genome.vcf import open_vcf

HEADER = (
    "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n##contig=<ID=chr2>\n"
    '##INFO=<ID=END,Number=1,Type=Integer,Description="x">\n'
    '##INFO=<ID=X,Number=1,Type=String,Description="x">\n'
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
)
LINES = [
    "chr1\t0\t.\tN\tA\t.\t.\t.",
    "chr1\t5\t.\tACGTACGTAC\tA\t.\t.\tEND=14",
    "chr1\t10\t.\tA\t<DEL>\t.\t.\tEND=5000",
    "chr1\t11\t.\tA\tC\t.\t.\t.",
    "chr1\t11\t.\tA\tG\t.\t.\tX=\xe9",
    "chr1\t20\t.\tA\tC\t.\t.\t.",
    "chr2\t11\t.\tA\tC\t.\t.\t.",
]
TEXTS = [
    "chr1",
    "2",
    "chr1:11",
    "chr1:11-20",
    "chr1:11-",
    "chr1:6-10,chr1:20,chr2",
    "chr1:0-11,chr1:5",
]


@pytest.fixture
def files(tmp_path):
    """The same records as text, as indexed VCF.gz (.tbi or .csi) and as indexed BCF."""
    plain = tmp_path / "in.vcf"
    plain.write_bytes((HEADER + "".join(f"{line}\n" for line in LINES)).encode("latin-1"))
    found = {"plain": plain}
    for kind in ("tbi", "csi"):
        found[kind] = tmp_path / f"{kind}.vcf.gz"
        pysam.tabix_compress(str(plain), str(found[kind]))
        pysam.tabix_index(str(found[kind]), preset="vcf", csi=kind == "csi")
    found["latin"] = tmp_path / "latin.vcf"
    found["latin"].write_bytes(plain.read_bytes())
    found["bcf"] = tmp_path / "in.bcf"
    plain.write_bytes(plain.read_bytes().replace(b"\xe9", b"e"))
    pysam.bcftools.view("-Ob", "-o", str(found["bcf"]), str(plain), catch_stdout=False)
    pysam.bcftools.index(str(found["bcf"]))
    return found


def lines_of(path, text):
    with open_vcf(path, Regions.parse(text)) as reader:
        return [record.line.encode("utf-8", "surrogateescape") for record in reader]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("kind", ["tbi", "csi", "bcf"])
def test_an_index_finds_what_reading_everything_finds(files, kind, text):
    expected = lines_of(files["plain" if kind == "bcf" else "latin"], text)
    assert 0 < len(expected) < len(LINES)
    found = lines_of(files[kind], text)
    if kind == "bcf":  # htslib writes INFO anew
        found, expected = ([one.split(b"\t")[:7] for one in some] for some in (found, expected))
    assert found == expected


def test_positions_count_from_one_and_ends_are_inside(files):
    assert [line.split(b"\t")[1] for line in lines_of(files["plain"], "chr1:11-20")] == [
        b"11", b"11", b"20",
    ]  # fmt: skip
    assert [line.split(b"\t")[1] for line in lines_of(files["plain"], "1:5,chr1:10")] == [
        b"5", b"10",
    ]  # fmt: skip


def test_only_the_index_is_followed(files):
    """A line that no region needs is not read: its damage goes unseen."""
    data = bytearray(files["tbi"].read_bytes())
    whole = files["tbi"].with_name("long.vcf")
    many = [f"chr1\t{pos}\t.\tA\tC\t.\t.\tN={pos * 7919 % 1000003}" for pos in range(1, 40000)]
    whole.write_text(HEADER + "\n".join(many) + "\n")
    path = files["tbi"].with_name("long.vcf.gz")
    pysam.tabix_compress(str(whole), str(path))
    pysam.tabix_index(str(path), preset="vcf")
    data = bytearray(path.read_bytes())
    data[len(data) * 2 // 3] ^= 0xFF
    path.write_bytes(data)
    assert len(lines_of(path, "chr1:1-100")) == 100
    with pytest.raises(InputError):
        list(open_vcf(path))


def test_carriage_returns_are_kept_though_there_is_an_index(tmp_path):
    plain = tmp_path / "in.vcf"
    plain.write_bytes((HEADER + "chr1\t5\t.\tA\tC\t.\t.\t.\n").replace("\n", "\r\n").encode())
    pysam.tabix_compress(str(plain), f"{plain}.gz")
    pysam.tabix_index(f"{plain}.gz", preset="vcf")
    with open_vcf(f"{plain}.gz", Regions.parse("chr1")) as reader:
        assert [record.newline for record in reader] == ["\r\n"]


def test_a_broken_index_is_one_error(files):
    files["tbi"].with_name("tbi.vcf.gz.tbi").write_bytes(b"no index")
    with pytest.raises(InputError, match=r"cannot be read through tbi\.vcf\.gz\.tbi .*remove it"):
        lines_of(files["tbi"], "chr1")


def test_a_bed_counts_from_zero(tmp_path, files):
    (tmp_path / "in.bed").write_text("chr1\t10\t19\nchr2\t0\t11\n")
    found = lines_of(files["plain"], str(tmp_path / "in.bed"))
    assert [line.split(b"\t")[:2] for line in found] == [
        [b"chr1", b"11"], [b"chr1", b"11"], [b"chr2", b"11"],
    ]  # fmt: skip
    with pytest.raises(UsageError, match=r"no such file: missing\.bed"):
        Regions.parse("missing.bed")


@pytest.mark.parametrize("text", ["", "chr1:5-2", "chr1:0-2,", ":5", "chr1 : 5"])
def test_what_is_no_region_is_refused(text):
    with pytest.raises(UsageError, match="--regions"):
        Regions.parse(text)


@given(spans=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 6)), min_size=1, max_size=8))
def test_merged_spans_hold_exactly_the_bases_of_all(spans):
    regions = Regions(("chr1", start, start + size) for start, size in spans)
    covered = {base for start, size in spans for base in range(start, start + size)}
    assert {base for base in range(-1, 40) if regions.hold("1", base)} == covered
    merged = regions.of("chr1")
    assert all(one[1] < other[0] for one, other in itertools.pairwise(merged))
