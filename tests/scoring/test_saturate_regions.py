import gzip

import pytest

from genolm.errors import InputError, UsageError
from genolm.genome.aliases import ContigResolver
from genolm.genome.fasta import Fasta
from genolm.scoring.saturate_regions import open_regions, parse_region

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


@pytest.fixture
def region(fasta):
    return lambda text: parse_region(text, fasta, ContigResolver(fasta.contigs))


@pytest.fixture
def sites_of(fasta, tmp_path):
    """The intervals of a VCF with these data lines, and what was left out."""

    def read(lines, header=HEADER):
        path = tmp_path / "sites.vcf.gz"
        path.write_bytes(gzip.compress((header + "".join(lines)).encode()))
        with open_regions(str(path), fasta) as regions:
            assert regions.bases is None
            found = [(one.chrom, one.start, one.end) for one in regions.intervals]
            return found, dict(regions.skipped)

    return read


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("chr1:1-400", ("chr1", 0, 400)),
        ("chr1:10-10", ("chr1", 9, 10)),
        ("chr1:0,010-0,020", ("chr1", 9, 20)),
        ("chr1:399-", ("chr1", 398, 400)),
        ("chr1", ("chr1", 0, 400)),
        ("1:2-3", ("chr1", 1, 3)),
        ("MT:2-3", ("chrM", 1, 3)),
        ("chrMT", ("chrM", 0, 120)),
    ],
)
def test_a_region_counts_from_one_and_includes_both_ends(region, text, expected):
    found = region(text)
    assert (found.chrom, found.start, found.end) == expected


@pytest.mark.parametrize("text", ["chr1:0-4", "chr1:5-4", "chr1:1-401", "chr1:401-", "chr1:,-4"])
def test_a_region_that_leaves_its_contig_is_refused(region, text):
    with pytest.raises(UsageError, match=r"does not lie on chr1 of small\.fa.*1-400"):
        region(text)


def test_a_region_of_one_number_is_ambiguous(region):
    with pytest.raises(UsageError, match="write chr1:7-7 for the one base, chr1:7- for all"):
        region("chr1:7")


@pytest.mark.parametrize("text", ["chrQ", "chrQ:1-5", "chr1:-5", "chr1:a-b", "some.bed", ""])
def test_what_names_no_contig_is_no_region(region, text):
    assert region(text) is None


def test_a_name_may_hold_colons(make_genome, tmp_path):
    path = tmp_path / "hla.fa"
    path.write_text(">HLA:1-9\nACGTACGTACGT\n>HLA\nAAAA\n")
    genome = Fasta(path)
    found = parse_region("HLA:1-9:2-3", genome, ContigResolver(genome.contigs))
    assert (found.chrom, found.start, found.end) == ("HLA:1-9", 1, 3)
    assert parse_region("HLA:1-9", genome, ContigResolver(genome.contigs)).length == 12


@pytest.mark.parametrize("text", ["chrQ:1-5", "missing.bed", "."])
def test_neither_file_nor_region_is_said_with_an_example(fasta, text):
    with (
        pytest.raises(UsageError, match=r"no such file or region: .*write chr1:1-400, or name"),
        open_regions(text, fasta),
    ):
        pass


def test_intervals_of_a_bed_come_as_they_are(fasta, tmp_path):
    path = tmp_path / "some.bed"
    path.write_text("track x\n2\t5\t9\tb\t0\t-\nchr1\t0\t4\nchr1\t2\t6\n")
    with open_regions(str(path), fasta) as regions:
        found = [(one.chrom, one.start, one.end) for one in regions.intervals]
    assert found == [("chr2", 5, 9), ("chr1", 0, 4), ("chr1", 2, 6)]
    assert regions.bases == 12


@pytest.mark.parametrize("line", ["chrQ\t1\t2\n", "chr1\t1\t401\n", "chr1\t5\t5\n", "chr1\t5\n"])
def test_a_bed_line_that_cannot_be_used_is_named(fasta, tmp_path, line):
    path = tmp_path / "some.bed"
    path.write_text("chr1\t0\t1\n" + line)
    with pytest.raises(InputError, match=r"some\.bed:2: "), open_regions(str(path), fasta):
        pass


def test_the_sites_of_a_vcf_are_the_bases_of_ref_each_once(sites_of, contigs):
    one, two = contigs["chr1"].upper(), contigs["chr2"].upper()

    def line(chrom, start, ref, alt="<DEL>"):
        return f"{chrom}\t{start + 1}\t.\t{ref}\t{alt}\t.\t.\t.\n"

    found, skipped = sites_of(
        [
            line("chr1", 10, one[10], "A,C,G,T"),
            line("chr1", 10, one[10].lower(), "."),
            line("1", 10, one[10:14]),
            line("chr1", 12, one[12]),
            line("chr1", 13, one[13:16]),
            line("chr2", 12, two[12]),
            line("chr2", 160, "N"),
            line("chr2", 4, two[4]),
            line("chr2", 4, two[4]),
        ]
    )
    assert found == [
        ("chr1", 10, 11),
        ("chr1", 11, 14),
        ("chr1", 14, 16),
        ("chr2", 12, 13),
        ("chr2", 160, 161),
        ("chr2", 4, 5),
    ]
    assert skipped == {}


def test_records_that_do_not_fit_the_genome_are_counted_by_reason(sites_of, contigs):
    wrong = "A" if contigs["chr1"][0] != "A" else "C"
    lines = [
        f"chr1\t1\t.\t{wrong}\tG\t.\t.\t.\n",
        "chrQ\t5\t.\tACG\tA\t.\t.\t.\n",
        "chr1\t0\t.\tA\tC\t.\t.\t.\n",
        "chr1\t400\t.\tRN\tC\t.\t.\t.\n",
    ]
    assert sites_of(lines) == ([], {"ref_mismatch": 4, "contig_missing": 3})


def test_a_vcf_of_another_build_is_refused(sites_of, contigs):
    shifted = contigs["chr1"].upper()[1:]
    lines = [f"chr1\t{i + 1}\t.\t{shifted[i]}\tN\t.\t.\t.\n" for i in range(60)]
    with pytest.raises(InputError, match=r"wrong genome build\?"):
        sites_of(lines)


def test_a_contig_declared_with_another_length_is_no_alias(sites_of, contigs):
    header = HEADER.replace("\n", "\n##contig=<ID=1,length=7>\n", 1)
    base = contigs["chr1"][4].upper()
    assert sites_of([f"1\t5\t.\t{base}\tN\t.\t.\t.\n"], header) == ([], {"contig_missing": 1})
