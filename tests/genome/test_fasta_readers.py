import sys

import pytest

from genolm.genome import Fasta
from genolm.genome.fasta_readers import choose_reader


def test_pysam_comes_first_and_pyfaidx_where_it_is_absent(write, monkeypatch):
    assert choose_reader(None) == "pysam"
    monkeypatch.setitem(sys.modules, "pysam", None)
    assert choose_reader(None) == "pyfaidx"
    for form, name in (("plain", "x.fa"), ("bgzip", "x.fa.gz")):
        path = write(name, ">a\nACGT\n", form)
        with Fasta(path) as fasta:
            assert fasta.reader == "pyfaidx"
            assert fasta.fetch("a", 1, 3) == "CG"


def test_a_reader_asked_for_by_name_runs_or_raises(monkeypatch):
    monkeypatch.setitem(sys.modules, "pysam", None)
    with pytest.raises(ValueError, match="pysam is not installed: pip install pysam"):
        choose_reader("pysam")
    with pytest.raises(ValueError, match="unknown FASTA reader 'twobit'; there are pysam, pyfaidx"):
        choose_reader("twobit")
