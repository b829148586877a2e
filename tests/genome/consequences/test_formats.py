"""The same transcripts from GFF3, GTF and GenBank, and what is wrong with such files."""

import gzip

import pytest

from genolm.errors import InputError, UsageError
from genolm.genome import Fasta
from genolm.genome.consequences import ConsequenceCaller
from genolm.genome.sequence import reverse_complement

BASES = "T" * 10 + "CCCCATGAAAT" + "GTACCCCCCCCCCCCCCCAG" + "GGTGTTATCGTTAACCCCCC" + "T" * 19
SIZE = len(BASES)
EXONS = [(10, 21), (41, 61)]
CODING = [(14, 21), (41, 55)]


def flip(span, reverse):
    return (SIZE - span[1], SIZE - span[0]) if reverse else span


def table(rows, reverse):
    """Rows (type, span, phase, attributes) in the nine columns."""
    lines = []
    for kind, span, phase, attributes in rows:
        a, b = flip(span, reverse)
        strand = "-" if reverse else "+"
        lines.append(f"1\tt\t{kind}\t{a + 1}\t{b}\t.\t{strand}\t{phase}\t{attributes}\n")
    return "".join(lines)


def gff3(reverse):
    rows = [
        ("gene", (10, 61), ".", "ID=g;Name=abc%3B1"),
        ("mRNA", (10, 61), ".", "ID=t;Parent=g;Name=abc-1"),
        *(("exon", span, ".", "Parent=t") for span in EXONS),
        *(("CDS", s, p, "ID=c;Parent=t") for s, p in zip(CODING, (0, 2), strict=True)),
    ]
    return "##gff-version 3\n" + table(rows, reverse)


def without_exons(reverse):
    rows = [
        ("mRNA", (10, 61), ".", "ID=t;gene=abc%3B1"),
        ("five_prime_UTR", (10, 14), ".", "Parent=t"),
        *(("CDS", s, p, "Parent=t") for s, p in zip(CODING, (0, 2), strict=True)),
        ("three_prime_UTR", (55, 61), ".", "Parent=t"),
    ]
    return "##gff-version 3\n" + table(rows, reverse)


def children_first(reverse):
    head, *lines = gff3(reverse).splitlines(keepends=True)
    return head + "".join(lines[::-1])


def gtf(reverse):
    what = 'gene_id "G"; transcript_id "T"; gene_name "abc;1"; tag "basic"; tag "CCDS";'
    what = what.replace("abc;1", "abc%3B1")
    rows = [
        ("gene", (10, 61), ".", 'gene_id "G"; gene_name "abc%3B1";'),
        ("transcript", (10, 61), ".", what),
        *(("exon", span, ".", what) for span in EXONS),
        ("CDS", (14, 21), 0, what),
        ("CDS", (41, 52), 2, what),
        ("start_codon", (14, 17), 0, what),
        ("stop_codon", (52, 55), 0, what),
    ]
    return "#!genome-build X\n" + table(rows, reverse)


def location(spans, reverse):
    inner = ",".join(f"{a + 1}..{b}" for a, b in sorted(flip(one, reverse) for one in spans))
    inner = f"join({inner})" if len(spans) > 1 else inner
    return f"complement({inner})" if reverse else inner


def genbank(reverse, features=None, topology="linear", bases=BASES):
    if reverse:
        bases = reverse_complement(bases)
    features = features or [
        ("gene", location([(10, 61)], reverse), '/gene="abc%3B1"'),
        ("mRNA", location(EXONS, reverse), '/gene="abc%3B1"'),
        ("CDS", location(CODING, reverse), '/gene="abc%3B1"'),
    ]
    size = f"{len(bases):>26} bp    DNA     {topology:<8}"
    lines = [f"LOCUS       X1{size} BCT 01-JAN-2000"]
    lines += ["DEFINITION  x.", "ACCESSION   X1", "VERSION     X1.1"]
    lines += ["FEATURES             Location/Qualifiers"]
    lines += [f"     source          1..{len(bases)}"]
    for kind, where, *qualifiers in features:
        lines += [f"     {kind:<16}{where}", *(f"{'':21}{one}" for one in qualifiers)]
    lines += ["ORIGIN"]
    lines += [f"{at + 1:>9} {bases[at : at + 60].lower()}" for at in range(0, len(bases), 60)]
    return "\n".join([*lines, "//"]) + "\n"


def every_snv(caller, bases, contig="1"):
    return {
        (at, alt): caller.call(contig, at, ref, alt)
        for at, ref in enumerate(bases)
        for alt in "ACGT".replace(ref, "")
    }


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("form", [without_exons, children_first, gtf, genbank])
def test_every_format_says_the_same(caller_of, form, reverse):
    bases = reverse_complement(BASES) if reverse else BASES
    expected = every_snv(caller_of({"1": bases}, gff3(reverse)), bases)
    assert expected[(17, "T") if not reverse else (SIZE - 18, "A")] == ("stop_gained", ("abc;1",))
    contig = "X1" if form is genbank else "1"
    caller = caller_of({contig: bases}, form(reverse), name="other")
    found = every_snv(caller, bases, contig)
    plain = {  # GTF and GenBank have no escapes
        key: (term, tuple(name.replace("%3B", ";") for name in genes))
        for key, (term, genes) in found.items()
    }
    assert plain == expected
    assert caller.num_transcripts == 1


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress], ids=["plain", "gzip"])
def test_compression_and_names_of_contigs_do_not_matter(write, pack):
    fasta = Fasta(write("g.fa", f">chr1\n{BASES}\n"))
    caller = ConsequenceCaller(write("a.gff.gz", pack(gff3(False).encode())), fasta)
    assert caller.call("chr1", 17, "A", "T").term == "stop_gained"
    assert caller.aliases_used == {"1": "chr1"}


def test_a_bacterial_gene_has_its_coding_sequence_right_under_it(caller_of):
    # Two frames of one gene stay apart, and a tRNA is its own exon.
    bases = "ATGAAATGCTAA" + "CCC" + "GATTACA" + "CCC" + "GGGG"
    caller = caller_of(
        {"1": bases},
        "##gff-version 3\n"
        "1\tt\tgene\t1\t12\t.\t+\t.\tID=g;Name=one\n"
        "1\tt\tCDS\t1\t12\t.\t+\t0\tID=c1;Parent=g;transl_table=11\n"
        "1\tt\tCDS\t6\t12\t.\t-\t0\tID=c2;Parent=g;transl_table=11\n".replace("\t-\t", "\t+\t")
        + "1\tt\tgene\t16\t22\t.\t-\t.\tID=h;Name=two\n"
        "1\tt\ttRNA\t16\t22\t.\t-\t.\tID=r;Parent=h\n"
        "1\tt\tpseudogene\t26\t29\t.\t-\t.\tID=p;Name=gone;pseudo=true\n"
        "1\tt\tCDS\t26\t29\t.\t-\t0\tID=c3;Parent=p;pseudo=true\n",
    )
    assert caller.num_transcripts == 4
    assert caller.call("1", 4, "A", "T") == ("missense_variant", ("one",))
    assert caller.call("1", 17, "T", "A") == ("non_coding_transcript_exon_variant", ("two",))
    assert caller.call("1", 26, "G", "A") == ("non_coding_transcript_exon_variant", ("gone",))
    assert caller.call("1", 13, "C", "A") == ("intergenic_variant", ())


def test_an_exon_of_several_transcripts_and_two_proteins_of_one(caller_of):
    text = gff3(False).replace("Parent=t", "Parent=t,u") + table(
        [("mRNA", (10, 61), ".", "ID=u;Parent=g"), ("CDS", (46, 55), 0, "ID=d;Parent=u")], False
    )
    caller = caller_of({"1": BASES}, text)
    assert caller.num_transcripts == 3  # u has two coding sequences that share bases
    assert caller.call("1", 17, "A", "T").term == "stop_gained"


CIRCLE = "GGTGTTAA" + "C" * 30 + "ATGAAAT"  # ATG AAA T|GG TGT TAA around the origin


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("form", ["two rows", "past the end", "genbank"])
def test_a_gene_around_the_origin_of_a_circle(caller_of, form, reverse):
    size = len(CIRCLE)
    bases = reverse_complement(CIRCLE) if reverse else CIRCLE
    strand = "-" if reverse else "+"
    head = f"##gff-version 3\nX1\tt\tregion\t1\t{size}\t.\t+\t.\tID=r;Is_circular=true\n"
    row = f"X1\tt\tCDS\t{{}}\t{{}}\t.\t{strand}\t0\tID=c;gene=ori\n".format
    spans = [(1, 8), (39, size)] if not reverse else [(1, 7), (size - 7, size)]
    if form == "two rows":
        text = head + "".join(row(*span) for span in spans)
    elif form == "past the end":
        text = head + row(39, size + 8) if not reverse else head + row(size - 7, size + 7)
    else:
        (a, b), (c, d) = spans
        inner = f"join({c}..{d},{a}..{b})"
        inner = f"complement({inner})" if reverse else inner
        text = genbank(False, [("CDS", inner, '/gene="ori"')], "circular", bases)
    caller = caller_of({"X1": bases}, text, name="a")

    def call(position, ref, alt):
        if reverse:
            at, letters = size - position - 1, (reverse_complement(ref), reverse_complement(alt))
            return caller.call("X1", at, *letters)
        return caller.call("X1", position, ref, alt)

    assert call(41, "A", "T") == ("stop_gained", ("ori",))
    assert call(0, "G", "A").term == "stop_gained"  # TGG to TAG
    assert call(38, "A", "C").term == "start_lost"
    assert call(7, "A", "G").term == "stop_retained_variant"
    assert call(8, "C", "A").term == "intergenic_variant"
    assert call(37, "C", "A").term == "intergenic_variant"


def test_genbank_knows_codes_beginnings_and_genes_without_proteins(caller_of):
    bases = "ATGTGATAA" + "C" * 11 + "AATGAAATAA" + "C" * 10 + "GATTACA" + "CCC" + "GGGG"
    text = genbank(
        False,
        [
            ("CDS", "1..9", '/locus_tag="a"', "/transl_table=4"),
            ("CDS", "<21..30", '/gene="b"', "/codon_start=2"),
            ("tRNA", "41..47", '/gene="t"'),
            ("gene", "complement(51..54)", '/gene="p"', "/pseudo"),
            ("CDS", "complement(51..54)", '/gene="p"', "/pseudo"),
        ],
        bases=bases,
    )
    caller = caller_of({"X1.1": bases}, text, name="a.gb")
    assert caller.call("X1.1", 5, "A", "G") == ("synonymous_variant", ("a",))  # both W in code 4
    assert caller.call("X1.1", 20, "A", "C") == ("coding_sequence_variant", ("b",))
    assert caller.call("X1.1", 21, "A", "C") == ("missense_variant", ("b",))
    assert caller.call("X1.1", 42, "T", "C") == ("non_coding_transcript_exon_variant", ("t",))
    assert caller.call("X1.1", 51, "G", "C") == ("non_coding_transcript_exon_variant", ("p",))


def test_a_trans_spliced_gene_of_both_strands_has_no_intron_between_them(caller_of):
    first, second = "ATGAA", "ATGTTAA"  # ATG AAA TGT TAA
    bases = "CCC" + reverse_complement(first) + "C" * 20 + second + "CCC"
    text = genbank(
        False, [("CDS", "join(complement(4..8),29..35)", '/gene="rps"')], "linear", bases
    )
    caller = caller_of({"X1": bases}, text, name="a.gb")
    assert caller.call("X1", 4, "T", "A") == ("stop_gained", ("rps",))  # AAA to TAA
    assert caller.call("X1", 28, "A", "C") == ("missense_variant", ("rps",))  # AAA to AAC
    assert caller.call("X1", 15, "C", "A") == ("intergenic_variant", ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\tt\tgene\t1\t99\t.\t+\t.\tID=g", r"a:1: 1-99 does not lie on 1 of g\.fa, which has 9"),
        ("1\tt\tgene\t0\t9\t.\t+\t.\tID=g", r"a:1: 0-9 does not lie on 1"),
        ("1\tt\tgene\tx\t9\t.\t+\t.\tID=g", r"a:1: a GFF line has nine columns"),
        ("1 t gene 1 9 . + . ID=g", r"a:1: a GFF line has nine columns"),
        ("##sequence-region 1 1 99", r"a:1: 1 has 99 bases here and 9 in g\.fa"),
        ("9\tt\tgene\t1\t9\t.\t+\t.\tID=g", r"a: none of its contigs is in g\.fa .*: 9\)"),
        ("##gff-version 3", r"a: no gene, transcript, exon or CDS in it"),
        ("1\tt\tCDS\t1\t9\t.\t+\t0\tID=c;transl_table=7", r"there is no genetic code 7"),
        ("1\tt\tCDS\t1\t9\t.\t+\t0\tID=c;transl_table=x", r"a:1: transl_table 'x' is no number"),
        (">x\nACGT", r"a is a FASTA file; GenBank, GFF3 or GTF is needed"),
        (genbank(False), r"a: 1 has 80 bases here and 9 in g\.fa"),
        (genbank(False).partition("ORIGIN")[0], r"a: malformed GenBank file"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(caller_of, text, message):
    if text.startswith("LOCUS"):
        text = text.replace("X1", "1 ")
    with pytest.raises(InputError, match=message) as caught:
        caller_of({"1": "ATGAAATAA"}, f"{text}\n", name="a")
    assert "\n" not in str(caught.value)


def test_contigs_that_the_genome_lacks_are_left_out_and_named(caller_of, tmp_path):
    text = gff3(False) + gff3(False).replace("1\tt", "9\tt").partition("\n")[2]
    caller = caller_of({"1": BASES}, text)
    assert list(caller.missing) == ["9"]
    assert caller.num_transcripts == 1
    with pytest.raises(UsageError, match="no such file"):
        ConsequenceCaller(tmp_path / "none.gff", Fasta(tmp_path / "g.fa"))
    with pytest.raises(UsageError, match="--genetic-code 99: choose one of 1, 2, 3"):
        caller_of({"1": BASES}, gff3(False), code=99)


def test_an_annotation_of_another_build_is_refused(caller_of):
    gene = "ATGCTAGCATACGTATAA"
    row = "1\tt\tCDS\t{}\t{}\t.\t+\t0\tID=c{}\n".format
    spans = [(1 + 18 * n, 18 + 18 * n, n) for n in range(30)]
    moved = [(a + 4, b + 4, n) for a, b, n in spans]
    contigs = {"1": gene * 30 + "ACGT"}
    caller = caller_of(contigs, "##gff-version 3\n" + "".join(row(*one) for one in spans))
    assert caller.num_transcripts == 30
    with pytest.raises(InputError, match=r"30 of 30 coding sequences looked at .*another genome"):
        caller_of(contigs, "##gff-version 3\n" + "".join(row(*one) for one in moved))
    few = "##gff-version 3\n" + "".join(row(*one) for one in moved[:19])
    assert caller_of(contigs, few).num_transcripts == 19


def test_gtf_without_quotes(caller_of):
    text = gtf(False).replace('"', "")
    caller = caller_of({"1": BASES}, text, name="a.gtf")
    assert caller.call("1", 17, "A", "T") == ("stop_gained", ("abc%3B1",))
