import io

import pysam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genolm.errors import InputError
from genolm.genome.fasta_index import fai_text, parse_fai, scan_fasta


def scan(data):
    return tuple(scan_fasta(io.BytesIO(data), "x.fa"))


@st.composite
def fasta_bytes(draw):
    """Draw a well-formed FASTA file: any widths, LF or CRLF, with or without a last newline."""
    newline = draw(st.sampled_from([b"\n", b"\r\n"]))
    lines = []
    for number in range(draw(st.integers(1, 4))):
        width = draw(st.integers(1, 7))
        bases = draw(st.text("ACGTNacgtn*-", min_size=1, max_size=30)).encode()
        lines.append(b">contig%d some words" % number)
        lines += [bases[at : at + width] for at in range(0, len(bases), width)]
        lines += [b""] * draw(st.integers(0, 2))
    return newline.join(lines) + newline * draw(st.integers(0, 1))


@settings(max_examples=150, deadline=None)
@given(fasta_bytes())
def test_index_equals_that_of_samtools(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("fasta") / "x.fa"
    path.write_bytes(data)
    pysam.faidx(str(path))
    text = path.with_name("x.fa.fai").read_text()
    assert fai_text(scan(data)) == text
    assert parse_fai(text) == scan(data)


@given(fasta_bytes())
def test_the_end_of_each_contig_is_followed_by_newlines_or_nothing(data):
    for entry in scan(data):
        assert data[entry.end - 1 : entry.end] not in (b"\n", b"\r")
        assert data[entry.end : entry.end + 1] in (b"\n", b"\r", b"")


def test_contigs_without_bases_have_length_zero():
    assert [(entry.name, entry.length) for entry in scan(b">a\n>b x\nAC\n>c\n")] == [
        ("a", 0),
        ("b", 2),
        ("c", 0),
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b">a\nAC\n>b\nAC\n>a x\nAC\n", r"^x\.fa:5: a second contig named 'a' .* line 1\)"),
        (b">a\nACGT\nAC\nACGT\n", r"^x\.fa:4: bases after a shorter or blank line in a"),
        (b">a\nACGT\n\nACGT\n", r"^x\.fa:4: bases after a shorter or blank line in a"),
        (b">a\nAC\nACGT\n", r"^x\.fa:3: lines of different length in a"),
        (b">a\nAC\r\nAC\nAC\r\n", r"^x\.fa:3: lines of different length in a"),
        (b">a\nAC GT\n", r"^x\.fa:2: byte b' ' at column 3"),
        (b">a\nACGT \n", r"^x\.fa:2: byte b' ' at column 5"),
        (b">a\nAC>b\nGT\n", r"^x\.fa:2: byte b'>' at column 3"),
        (b">a\nAC\xc3\xa9\n", r"^x\.fa:2: byte b'\\xc3' at column 3"),
        (b">a\nA\0C\n", r"^x\.fa:2: byte b'\\x00' at column 2"),
        (b">\nACGT\n", r"^x\.fa:1: a header without a name"),
        (b">\xe9\nACGT\n", r"^x\.fa:1: the name b'\\xe9' is not UTF-8"),
        (b"ACGT\n>a\nACGT\n", r"^x\.fa:1: text before the first '>' header"),
    ],
)
def test_what_cannot_be_read_by_position_is_named_by_line(data, message):
    with pytest.raises(InputError, match=message) as raised:
        scan(data)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["", "a\t4\t3\t4\n", "a\t4\t3\t4\t4\n", "a\tx\t3\t4\t5\n", "a\n"])
def test_what_is_no_index_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - any will do, callers only ask whether
        parse_fai(text)
