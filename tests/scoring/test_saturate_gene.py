import gzip

import pytest

from genolm.errors import InputError, UsageError
from genolm.genome.aliases import ContigResolver
from genolm.scoring.saturate_gene import find_gene
from genolm.scoring.saturate_regions import open_regions

GFF = """##gff-version 3
# a comment
chr1\t.\tregion\t1\t400\t.\t+\t.\tID=chr1;Name=abc
1\tx\tgene\t11\t40\t.\t-\t.\tID=gene:G1;Name=abc%201;locus_tag=b0001
1\tx\tCDS\t14\t37\t.\t-\t0\tID=cds1;gene=abc 1
chr2\tx\tncRNA_gene\t1\t330\t.\t+\t.\tID=gene:G2;Name=abcd
chr1\tx\ttRNA\t50\t60\t.\t+\t.\tgene=trn
chr1\tx\ttRNA\t70\t80\t.\t+\t.\tgene=trn
chr1\tx\tgene\t91\t92\t.\t+\t.\tName=twice
chr2\tx\tgene\t91\t92\t.\t+\t.\tName=twice
chr9\tx\tgene\t91\t92\t.\t+\t.\tName=elsewhere
chr2\tx\tgene\t91\t331\t.\t+\t.\tName=long
"""
GTF = 'chr1\tx\tgene\t11\t40\t.\t-\t.\tgene_id "E1"; gene_name "abc";\n'


@pytest.fixture
def find(fasta, tmp_path):
    def look(name, text=GFF, packed=False):
        path = tmp_path / "genes"
        data = text.encode()
        path.write_bytes(gzip.compress(data) if packed else data)
        found = find_gene(name, path, fasta, ContigResolver(fasta.contigs))
        return found.chrom, found.start, found.end

    return look


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("abc 1", ("chr1", 10, 40)),
        ("G1", ("chr1", 10, 40)),
        ("gene:G1", ("chr1", 10, 40)),
        ("b0001", ("chr1", 10, 40)),
        ("abcd", ("chr2", 0, 330)),
        ("trn", ("chr1", 49, 80)),
    ],
)
def test_a_gene_is_found_by_any_of_its_names(find, name, expected, packed):
    assert find(name, packed=packed) == expected


@pytest.mark.parametrize("name", ["abc", "E1"])
def test_gtf_is_read_too(find, name):
    assert find(name, GTF) == ("chr1", 10, 40)


def test_genbank_is_read_too(find, contigs):
    from io import StringIO

    from Bio import SeqIO
    from Bio.Seq import Seq
    from Bio.SeqFeature import SeqFeature, SimpleLocation
    from Bio.SeqRecord import SeqRecord

    record = SeqRecord(Seq(contigs["chr1"]), "chr1", annotations={"molecule_type": "DNA"})
    for kind, start, end in (("gene", 10, 40), ("CDS", 13, 37)):
        qualifiers = {"gene": ["abc"]}
        record.features.append(SeqFeature(SimpleLocation(start, end, -1), kind, "", qualifiers))
    text = StringIO()
    SeqIO.write(record, text, "genbank")
    assert find("abc", text.getvalue()) == ("chr1", 10, 40)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("ab", UsageError, "genes has no gene 'ab'"),
        ("twice", UsageError, r"twice is in 2 places \(chr1:91-92, chr2:91-92\)"),
        ("elsewhere", InputError, r"elsewhere is at chr9:91-92, which small\.fa does not have"),
        ("long", InputError, r"long is at chr2:91-331, which small\.fa does not have"),
    ],
)
def test_a_gene_that_cannot_be_placed_is_said(find, name, error, message):
    with pytest.raises(error, match=message):
        find(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (">chr1\nACGT\n", "is a FASTA file; GenBank, GFF3 or GTF is needed"),
        (GFF + "chr1\tx\n", "genes:13: a GFF line has nine columns"),
        (GTF.replace("11", "41"), "genes:1: 41-40 is no span of bases"),
    ],
)
def test_an_annotation_that_is_malformed_is_named(find, text, message):
    with pytest.raises(InputError, match=message):
        find("trn", text)


def test_a_missing_annotation_is_wrong_usage(fasta):
    with pytest.raises(UsageError, match="no such file"), open_regions("abc", fasta, "missing.gff"):
        pass


def test_a_gene_is_a_region(fasta, tmp_path):
    (tmp_path / "genes").write_text(GTF)
    with open_regions("abc", fasta, str(tmp_path / "genes")) as regions:
        assert [(one.chrom, one.start, one.end) for one in regions.intervals] == [("chr1", 10, 40)]
    assert regions.bases == 30
