import gzip
import io
import sys
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genolm.errors import UsageError
from genolm.genome.compression import (
    BGZIP_END,
    DamagedInputError,
    GunzipStream,
    open_decompressed,
)

DATA = b"".join(b"line %d of some text\n" % number for number in range(20_000))


def read_all(compressed, *, bgzip=False):
    return io.BufferedReader(GunzipStream(io.BytesIO(compressed), "x.gz", bgzip=bgzip)).read()


def collect(stream, received):
    """Append what the stream gives to ``received`` piece by piece, up to an error."""
    buffer = bytearray(5000)
    while count := stream.readinto(buffer):
        received += buffer[:count]


@pytest.mark.parametrize("compression", ["plain", "gzip", "bgzip", "biopython"])
def test_content_decides_and_the_name_does_not(write, compression):
    for name in ("data.txt", "data.txt.gz"):
        path = write(name, DATA, compression)
        with open_decompressed(path) as stream:
            assert stream.read() == DATA


@pytest.mark.parametrize("compression", ["plain", "gzip", "bgzip"])
def test_standard_input_is_read_and_left_open(write, compression, monkeypatch):
    pipe = io.BytesIO(write("data", DATA, compression).read_bytes())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=pipe))
    with open_decompressed("-") as stream:
        assert stream.read() == DATA
    assert not pipe.closed


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=5), st.binary(max_size=3))
def test_members_and_padding_are_joined_as_gzip_joins_them(parts, padding):
    zeros = b"\0" * len(padding)
    compressed = b"".join(gzip.compress(part) + zeros for part in parts)
    assert read_all(compressed) == b"".join(parts)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_truncated_gzip_is_an_error_after_an_exact_prefix(data):
    compressed = gzip.compress(DATA)
    cut = data.draw(st.integers(20, len(compressed) - 1))
    stream = GunzipStream(io.BytesIO(compressed[:cut]), "x.gz", bgzip=False)
    received = bytearray()
    with pytest.raises(DamagedInputError, match=r"x\.gz: truncated gzip data"):
        collect(stream, received)
    assert DATA.startswith(received)


def test_bgzip_cut_between_two_blocks_is_truncated_too(write):
    compressed = write("x.gz", DATA, "bgzip").read_bytes()
    assert compressed.endswith(BGZIP_END)
    assert gzip.decompress(compressed[: -len(BGZIP_END)]) == DATA
    with pytest.raises(DamagedInputError, match="end marker is missing"):
        read_all(compressed[: -len(BGZIP_END)], bgzip=True)


def test_a_flipped_bit_and_trailing_rubbish_are_damage():
    compressed = bytearray(gzip.compress(DATA))
    compressed[len(compressed) // 2] ^= 1
    with pytest.raises(DamagedInputError, match="damaged gzip data"):
        read_all(bytes(compressed))
    with pytest.raises(DamagedInputError, match="damaged gzip data"):
        read_all(gzip.compress(DATA) + b"rubbish")


def test_missing_files_and_folders_are_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match=r"no such file: .*nowhere"):
        open_decompressed(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="is a folder"):
        open_decompressed(tmp_path)


def test_reading_a_file_keeps_nothing_for_its_blocks(write):
    data = bytes(range(256)) * 2000
    with open_decompressed(write("x", data, "bgzip")) as stream:
        assert stream.read() == data
        assert stream.raw.size == len(data)
        assert stream.raw.members == []
