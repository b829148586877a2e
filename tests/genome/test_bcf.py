import gzip
import io
import sys
from types import SimpleNamespace

import pysam
import pytest

from genolm.errors import InputError
from genolm.genome import open_vcf

HEADER = (
    "##fileformat=VCFv4.2\n##contig=<ID=1,length=100000>\n"
    '##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">\n'
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
)
ROWS = [f"1\t{pos}\trs{pos}\tA\tC,G\t30\tPASS\tDP={pos % 7}" for pos in range(1, 5001)]


@pytest.fixture(params=["compressed", "uncompressed"])
def bcf(request, write):
    """A BCF file under a name that does not say so."""
    text = write("in.vcf", HEADER + "\n".join(ROWS) + "\n")
    path = text.with_name("variants.dat")
    with (
        pysam.VariantFile(str(text)) as source,
        pysam.VariantFile(str(path), "wb", header=source.header) as target,
    ):
        for record in source:
            target.write(record)
    if request.param == "uncompressed":
        path.write_bytes(gzip.decompress(path.read_bytes()))
    return path


def test_bcf_is_read_as_the_text_it_stands_for(bcf):
    with open_vcf(bcf) as reader:
        assert reader.contig_lengths == {"1": 100_000}
        records = list(reader)
    assert [record.line for record in records] == ROWS
    assert (records[0].start, records[0].alts) == (0, ("C", "G"))


def test_bcf_comes_through_standard_input_too(bcf, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(bcf.read_bytes())))
    assert [record.line for record in open_vcf("-")] == ROWS


def test_truncated_bcf_is_one_clear_error(bcf, capfd):
    data = bcf.read_bytes()
    bcf.write_bytes(data[: len(data) * 3 // 4])
    with pytest.raises(InputError, match=r"variants\.dat: truncated or damaged BCF \("):
        list(open_vcf(bcf))
    assert capfd.readouterr().err == ""


def test_without_pysam_the_message_says_what_is_missing(bcf, monkeypatch):
    monkeypatch.setitem(sys.modules, "pysam", None)
    with pytest.raises(InputError, match="BCF needs pysam"):
        open_vcf(bcf)
