import gzip
import io
import random
import threading

import pysam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genolm.genome.bgzip import BATCH, BLOCK, BgzipWriter, bgzip_blocks
from genolm.genome.compression import BGZIP_END
from genolm.genome.content import compression_of


def packed(pieces, threads=None):
    stream = io.BytesIO()
    with BgzipWriter(stream, threads) as writer:
        for piece in pieces:
            assert writer.write(piece) == len(piece)
    return stream.getvalue()


@settings(max_examples=50, deadline=None)
@given(pieces=st.lists(st.binary(max_size=300), max_size=20))
def test_what_was_written_comes_out_again(pieces):
    data = packed(pieces)
    assert gzip.decompress(data) == b"".join(pieces)
    assert data.endswith(BGZIP_END)


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, BATCH, 3 * BATCH + 7])
def test_pieces_and_threads_change_no_byte(size):
    data = random.Random(1).randbytes(size)  # compresses worst: the largest blocks there are
    whole = packed([data], threads=1)
    assert gzip.decompress(whole) == data
    assert packed([data[i : i + 40_000] for i in range(0, size, 40_000)], threads=3) == whole


def test_htslib_reads_it_and_finds_a_place_in_it(tmp_path):
    lines = [f"chr1\t{pos}\t{'ACGT'[pos % 4] * 40}\n" for pos in range(1, 60_001)]
    path = tmp_path / "x.tsv.gz"
    path.write_bytes(packed([line.encode() for line in lines]))
    with pysam.BGZFile(str(path)) as file:
        assert file.read() == "".join(lines).encode()
    pysam.tabix_index(str(path), seq_col=0, start_col=1, end_col=1)
    with pysam.TabixFile(str(path)) as file:
        assert [f"{line}\n" for line in file.fetch("chr1", 49_999, 50_001)] == lines[49_999:50_001]
    assert compression_of(path.read_bytes()) == "bgzip"


def test_every_block_says_how_long_it_is():
    data = random.Random(2).randbytes(2 * BLOCK) + bytes(BLOCK)
    blocks = bgzip_blocks(data)
    sizes = []
    while blocks:
        sizes.append(int.from_bytes(blocks[16:18], "little") + 1)
        blocks = blocks[sizes[-1] :]
    assert len(sizes) == 3
    assert max(sizes) < 1 << 16


def test_an_error_ends_the_threads_and_completes_nothing():
    stream = io.BytesIO()

    def fail():
        with BgzipWriter(stream) as writer:
            writer.write(bytes(20 * BATCH))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert not stream.getvalue().endswith(BGZIP_END)
    assert not [one for one in threading.enumerate() if one.name.startswith("bgzip")]


def test_what_cannot_be_written_is_an_error_when_closed_at_the_latest():
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    writer = BgzipWriter(Full())
    writer.write(b"a few bytes")
    with pytest.raises(OSError, match="No space left"):
        writer.close()
    assert writer.closed
