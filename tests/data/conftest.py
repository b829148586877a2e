"""A small genome to read, with soft-masking, N and odd letters."""

import os
from pathlib import Path

import numpy as np
import pytest

from genolm.data.genome_store import open_store


def write_fasta(path, contigs, width=60):
    lines = []
    for name, sequence in contigs.items():
        lines.append(f">{name}")
        lines += [sequence[i : i + width] for i in range(0, len(sequence), width)]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
    return path


@pytest.fixture(scope="session")
def contigs():
    rng = np.random.default_rng(7)

    def draw(size, letters="ACGTacgt"):
        return "".join(np.array(list(letters))[rng.integers(0, len(letters), size)])

    return {
        "chr1": draw(3000) + "N" * 1000 + draw(2001),
        "chr2": draw(2500, "ACGT" * 20 + "RYUU"),
        "chr3": draw(2100, "ACGT"),
        "chrM": draw(90, "ACGT"),
    }


@pytest.fixture(scope="session")
def fasta(tmp_path_factory, contigs):
    return write_fasta(tmp_path_factory.mktemp("genome") / "small.fa", contigs)


@pytest.fixture(scope="session")
def store(fasta):
    return open_store(fasta)


@pytest.fixture
def make_fasta(tmp_path):
    def make(contigs, name="genome.fa"):
        return write_fasta(tmp_path / name, contigs)

    return make


@pytest.fixture(scope="session")
def shared_data():
    folder = os.environ.get("GENOLM_DATA")
    if not folder:
        pytest.skip("GENOLM_DATA does not name a folder of real data")
    return Path(folder)
