import io

import pytest

from genolm.data.build_check import BuildCheck
from genolm.data.sites import SiteReader
from genolm.errors import InputError
from genolm.genome.aliases import ContigResolver
from genolm.genome.edits import Edit
from genolm.genome.vcf import VcfReader
from genolm.scoring import chunks as module
from genolm.scoring.chunks import read_chunks

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


@pytest.fixture
def chunks_of(genome, contigs, window_size):
    def read(lines, size):
        sites = SiteReader(genome, ContigResolver(genome.contigs), window_size)
        records = iter(VcfReader(io.StringIO(HEADER + "".join(lines), newline="\n"), "in.vcf"))
        return read_chunks(records, sites, BuildCheck("in.vcf", "g.fa", strict=False), size)

    return read


def lines_of(contigs, count, shift=0):
    bases = contigs["chr1"].upper()
    return [f"chr1\t{i + 1}\tv{i}\t{bases[i + shift]}\t<DEL>,*\t.\t.\t.\n" for i in range(count)]


@pytest.mark.parametrize(
    ("count", "sizes"), [(0, [0]), (1, [1]), (3, [3]), (4, [4, 0]), (9, [4, 4, 1])]
)
def test_every_record_is_in_one_chunk_with_its_alleles(chunks_of, contigs, count, sizes):
    found = list(chunks_of(lines_of(contigs, count), 4))
    assert [len(one.records) for one in found] == sizes
    assert [r.line for one in found for r in one.records] == [
        line.rstrip("\n") for line in lines_of(contigs, count)
    ]
    assert all(one.alleles == ["symbolic", "star"] * len(one.records) for one in found)
    assert [one.is_last for one in found] == [False] * (len(sizes) - 1) + [True]


def test_long_records_make_short_chunks(chunks_of, contigs, monkeypatch):
    lines = lines_of(contigs, 9)
    monkeypatch.setattr(module, "LONGEST", 2 * len(lines[0]))
    assert {len(one.records) for one in chunks_of(lines, 4)} <= {0, 1, 2, 3}
    assert sum(len(one.records) for one in chunks_of(lines, 4)) == 9


def test_a_substitution_becomes_an_edit_whatever_its_case(chunks_of, contigs):
    ref = contigs["chr1"][149]
    assert ref.islower()
    (chunk,) = chunks_of([f"chr1\t150\t.\t{ref.upper()}\t{c}\t.\t.\t.\n" for c in "acgtACGT"], 9)
    expected = [Edit.between("chr1", 149, ref, c) for c in "ACGT"]
    assert chunk.alleles == expected * 2


def test_another_build_is_noticed_before_the_last_chunk(chunks_of, contigs):
    found = chunks_of([line.replace("chr1", "chr2") for line in lines_of(contigs, 40)], 400)
    with pytest.raises(InputError, match="wrong genome build"):
        next(found)
