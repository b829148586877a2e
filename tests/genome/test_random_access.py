import pysam
import pytest

from genolm.genome.compression import DamagedInputError, GunzipStream
from genolm.genome.random_access import SpanReader, gzi_bytes, read_gzi

DATA = bytes(range(256)) * 1024


def members_of(path):
    with path.open("rb") as file:
        stream = GunzipStream(file, "x", bgzip=True)
        stream.readall()
        return stream.members, stream.size


@pytest.mark.parametrize("compression", ["bgzip", "biopython"])
def test_gzi_index_is_the_one_htslib_writes(write, compression):
    path = write("x.fa.gz", b">a\n" + b"ACGT" * 60_000 + b"\n", compression)
    pysam.faidx(str(path))
    members, size = members_of(path)
    assert gzi_bytes(members, size) == (path.parent / "x.fa.gz.gzi").read_bytes()
    assert read_gzi(path.parent / "x.fa.gz.gzi") == [block for block in members if block[1] < size]


@pytest.mark.parametrize("compression", ["plain", "bgzip", "biopython"])
def test_spans_are_those_of_the_decompressed_file(write, compression):
    path = write("x", DATA, compression)
    blocks = None if compression == "plain" else members_of(path)[0]
    with SpanReader(path, blocks) as spans:
        for start in (0, 1, 65_279, 65_280, 65_281, 65_535, 65_536, 200_000, len(DATA) - 1):
            assert spans.read(start, 300) == DATA[start : start + 300]
        assert spans.read(len(DATA), 10) == b""
        assert spans.read(250_000) == DATA[250_000:]


def test_wrong_block_offsets_are_noticed(write):
    path = write("x", DATA, "bgzip")
    blocks = [(0, 0), *((at + 1, start) for at, start in members_of(path)[0][1:])]
    with SpanReader(path, blocks) as spans, pytest.raises(DamagedInputError):
        spans.read(100_000, 10)


def test_a_cut_gzi_index_is_no_index(write):
    with pytest.raises(ValueError, match=r"not a \.gzi index"):
        read_gzi(write("x.gzi", b"\x02" + b"\0" * 20))
