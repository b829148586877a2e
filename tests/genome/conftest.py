"""Small genome files, written as a test needs them."""

import gzip
import os
from pathlib import Path

import pysam
import pytest
from Bio import bgzf


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Keep every test's cache to itself."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("GENOLM_CACHE", str(folder))
    return folder


@pytest.fixture
def write(tmp_path):
    """Write bytes or text under a name, compressed as asked, and return the path."""

    def write(name, content, compression="plain"):
        path = tmp_path / name
        data = content.encode() if isinstance(content, str) else content
        if compression == "plain":
            path.write_bytes(data)
        elif compression == "gzip":
            path.write_bytes(gzip.compress(data))
        elif compression == "biopython":  # full blocks of 64 KiB, which htslib never writes
            with bgzf.BgzfWriter(str(path), "wb") as file:
                file.write(data)
        else:
            with pysam.BGZFile(str(path), "wb") as file:
                file.write(data)
        return path

    return write


@pytest.fixture
def data_folder():
    """The folder of real data, where there is one."""
    folder = os.environ.get("GENOLM_DATA")
    if not folder:
        pytest.skip("GENOLM_DATA is not set")
    return Path(folder)
