import pytest

from genolm.errors import InputError, UsageError
from genolm.genome import Feature, Interval, read_annotated, reverse_complement

SEQUENCE = "ATGAAACCCGGGTTTTAGACGTACGTACGT"
FASTA = f">chr1 x\n{SEQUENCE[:20]}\n{SEQUENCE[20:]}\n"
GFF = (
    "##gff-version 3\n"
    "1\tsrc\tregion\t1\t30\t.\t+\t.\tID=1\n"
    "1\tsrc\tgene\t1\t18\t.\t+\t.\tID=g1;Name=thrA%3B1\n"
    "1\tsrc\tCDS\t21\t30\t.\t-\t0\tID=c1;Parent=g1\n"
)
GENBANK = f"""LOCUS       TEST1                     30 bp    DNA     circular BCT 01-JAN-2000
DEFINITION  test.
ACCESSION   TEST1
VERSION     TEST1.1
FEATURES             Location/Qualifiers
     source          1..30
                     /organism="test"
     CDS             complement(4..9)
                     /gene="abc"
     CDS             join(28..30,1..3)
                     /locus_tag="L2"
ORIGIN
        1 {SEQUENCE[:10].lower()} {SEQUENCE[10:20].lower()} {SEQUENCE[20:].lower()}
//
"""


@pytest.mark.parametrize("form", ["plain", "gzip", "bgzip"])
def test_genbank_features_are_0_based_with_one_interval_for_each_part(write, form):
    sequences, features = read_annotated(write("x.dat", GENBANK, form))
    assert {name: text.upper() for name, text in sequences.items()} == {"TEST1.1": SEQUENCE}
    assert features == [
        Feature("TEST1.1", 3, 9, "-", "abc", "CDS"),
        Feature("TEST1.1", 27, 30, "+", "L2", "CDS"),
        Feature("TEST1.1", 0, 3, "+", "L2", "CDS"),
    ]
    assert isinstance(features[0], Interval)


def test_gff_features_are_0_based_and_take_the_names_of_the_fasta(write):
    sequences, features = read_annotated(write("x.fa", FASTA), write("x.gff", GFF))
    assert sequences == {"chr1": SEQUENCE}
    assert features == [
        Feature("chr1", 0, 18, "+", "thrA;1", "gene"),
        Feature("chr1", 20, 30, "-", "c1", "CDS"),
    ]
    gene = features[0]
    assert sequences["chr1"][gene.start : gene.end] == "ATGAAACCCGGGTTTTAG"


def test_gtf_attributes_name_the_feature(write):
    gtf = '1\tsrc\texon\t4\t6\t.\t+\t.\tgene_id "G1"; transcript_id "T1"; gene_name "abc";\n'
    _, features = read_annotated(write("x.fa", FASTA), write("x.gtf", gtf))
    assert features == [Feature("chr1", 3, 6, "+", "abc", "exon")]


@pytest.mark.parametrize("mark", ["##FASTA\n", ""])
def test_gff_may_hold_its_own_sequences(write, mark):
    text = GFF.replace("1\tsrc", "chr1\tsrc") + mark + FASTA
    sequences, features = read_annotated(write("x.gff", text))
    assert sequences == {"chr1": SEQUENCE}
    assert len(features) == 2


def test_types_choose_features_and_flanks_stop_at_the_ends(write):
    fasta, gff = write("x.fa", FASTA), write("x.gff", GFF)
    _, features = read_annotated(fasta, gff, types=["CDS", "region"], flank=5)
    assert [(feature.type, feature.start, feature.end) for feature in features] == [
        ("region", 0, 30),
        ("CDS", 15, 30),
    ]
    with pytest.raises(ValueError, match="flank"):
        read_annotated(fasta, gff, flank=-1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1\tsrc\tgene\t1\t31\t.\t+\t.\tID=1", r"x\.gff:1: 1-31 does not lie on chr1 \(30 bases\)"),
        ("1\tsrc\tgene\t0\t3\t.\t+\t.\tID=1", r"x\.gff:1: 0-3 does not lie on chr1"),
        ("2\tsrc\tgene\t1\t3\t.\t+\t.\tID=1", r"x\.gff:1: contig '2' is not in the FASTA file"),
        ("1\tsrc\tgene\tone\t3\t.\t+\t.\tID=1", r"x\.gff:1: a GFF line has nine columns"),
        ("1 src gene 1 3 . + . ID=1", r"x\.gff:1: a GFF line has nine columns"),
    ],
)
def test_a_bad_gff_line_is_named(write, line, message):
    with pytest.raises(InputError, match=message):
        read_annotated(write("x.fa", FASTA), write("x.gff", f"{line}\n"))


def test_files_that_do_not_make_an_annotation_are_refused(write, tmp_path):
    with pytest.raises(InputError, match="FASTA alone has no features"):
        read_annotated(write("x.fa", FASTA))
    with pytest.raises(InputError, match="no sequences in this GFF"):
        read_annotated(write("x.gff", GFF))
    with pytest.raises(InputError, match="FASTQ or SAM file; GenBank, FASTA or GFF3"):
        read_annotated(write("x.fq", "@r\nA\n+\nI\n"))
    with pytest.raises(InputError, match="malformed GenBank file"):
        read_annotated(write("x.gb", GENBANK.partition("ORIGIN")[0]))
    with pytest.raises(InputError, match="there twice"):
        read_annotated(write("x.fa", FASTA + FASTA), write("x.gff", GFF))
    with pytest.raises(UsageError, match="no such file"):
        read_annotated(tmp_path / "none.gb")


def test_real_coding_sequences_begin_and_end_as_genes_do(data_folder):
    genomes = data_folder / "genomes"
    sequences, features = read_annotated(
        genomes / "ecoli_K12_MG1655.fa.gz", genomes / "ecoli_K12_MG1655.gff.gz", types=["CDS"]
    )
    assert len(features) > 4000
    texts = [sequences[f.chrom][f.start : f.end] for f in features]
    coding = [
        reverse_complement(text) if feature.strand == "-" else text
        for text, feature in zip(texts, features, strict=True)
    ]
    starts = sum(text[:3] in ("ATG", "GTG", "TTG", "CTG", "ATT") for text in coding)
    stops = sum(text[-3:] in ("TAA", "TAG", "TGA") for text in coding)
    assert min(starts, stops) > 0.98 * len(coding)
