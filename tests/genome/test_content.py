import gzip
import io

import pysam
import pytest
from Bio import bgzf

from genolm.genome.content import compression_of, kind_of


def test_bgzip_of_every_writer_is_told_from_gzip(tmp_path):
    with pysam.BGZFile(str(tmp_path / "a"), "wb") as file:
        file.write(b"ACGT")
    biopython = io.BytesIO()
    writer = bgzf.BgzfWriter(fileobj=biopython)
    writer.write(b"ACGT")
    writer.flush()
    assert compression_of((tmp_path / "a").read_bytes()) == "bgzip"
    assert compression_of(biopython.getvalue()) == "bgzip"
    assert compression_of(gzip.compress(b"ACGT")) == "gzip"
    assert compression_of(b">a\nACGT\n") == "plain"
    assert compression_of(b"") == "plain"


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"\n <!DOCTYPE html>", "HTML"),
        (b"@read1\nACGT\n+\nIIII\n", "FASTQ"),
        (b"LOCUS       X", "GenBank"),
        (b"\xef\xbb\xbf>a", "byte-order mark"),
        (b"##fileformat=VCFv4.2", "VCF"),
    ],
)
def test_common_kinds_are_named(head, expected):
    assert expected in kind_of(head)


def test_what_is_unknown_has_no_name():
    assert kind_of(b"hello") is None
