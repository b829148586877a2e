"""Consequences by hand, each on both strands of one small gene."""

import pytest

from genolm.genome import Fasta
from genolm.genome.consequences import TERMS, ConsequenceCaller
from genolm.genome.sequence import reverse_complement

# 5' UTR, ATG AAA T|.....|GG TGT TAT CGT TAA, 3' UTR, an intron of 20 in the codon TGG; then an
# intron of 30 in the 3' UTR.
MESSAGE = "CCCC" + "ATGAAAT" + "GGTGTTATCGTTAA" + "CCCCCC", "GGGGGG"
INTRON = "GTACCCCCCCCCCCCCCCAG", "GTACGC" + "C" * 18 + "CCCCAG"
BASES = (
    "T" * 10 + "CCCCATGAAAT" + INTRON[0] + "GGTGTTATCGTTAACCCCCC" + INTRON[1] + "GGGGGG" + "T" * 10
)
EXONS = [(10, 21), (41, 61), (91, 97)]
CODING = [(14, 21), (41, 55)]
SIZE = len(BASES)


def rows(reverse, coding=CODING, exons=EXONS, attributes=""):
    strand = "-" if reverse else "+"
    text = "##gff-version 3\n"

    def row(kind, span, phase, what):
        a, b = (SIZE - span[1], SIZE - span[0]) if reverse else span
        return f"1\tt\t{kind}\t{a + 1}\t{b}\t.\t{strand}\t{phase}\t{what}\n"

    text += row("gene", (10, 97), ".", "ID=g;Name=ABC")
    text += row("mRNA", (10, 97), ".", "ID=t;Parent=g")
    for span in exons:
        text += row("exon", span, ".", "Parent=t")
    done = 0
    for span in coding:
        text += row("CDS", span, -done % 3, f"ID=c;Parent=t{attributes}")
        done += span[1] - span[0]
    return text


def genome(reverse):
    return {"1": reverse_complement(BASES) if reverse else BASES}


def on_strand(reverse, start, ref, alt):
    if not reverse:
        return "1", start, ref, alt
    return "1", SIZE - start - len(ref), reverse_complement(ref), reverse_complement(alt)


CASES = [
    (14, "A", "C", "start_lost"),
    (14, "ATGAAA", "GAA", "start_lost"),
    (13, "CAT", "", "start_lost"),  # the deletion reaches into the coding sequence
    (17, "A", "T", "stop_gained"),  # AAA to TAA
    (17, "AAA", "TGA", "stop_gained"),
    (17, "A", "ATAGA", "frameshift_variant"),
    (19, "A", "AT", "frameshift_variant"),
    (16, "G", "GTAGC", "stop_gained"),  # the first amino acid that changes is a stop
    (17, "A", "G", "missense_variant"),
    (17, "AAA", "CCC", "missense_variant"),
    (16, "G", "GTTT", "inframe_insertion"),
    (17, "AAA", "", "inframe_deletion"),
    (43, "T", "C", "missense_variant"),
    (45, "T", "C", "synonymous_variant"),  # TGT to TGC
    (48, "T", "A", "stop_gained"),  # TAT to TAA
    (52, "T", "C", "stop_lost"),
    (53, "A", "G", "stop_retained_variant"),  # TAA to TGA
    (51, "T", "TTAA", "stop_retained_variant"),
    (53, "A", "", "frameshift_variant"),
    (54, "ACC", "A", "3_prime_UTR_variant"),
    (53, "AAC", "", "stop_lost"),
    (10, "C", "A", "5_prime_UTR_variant"),
    (13, "C", "CA", "5_prime_UTR_variant"),
    (56, "C", "A", "3_prime_UTR_variant"),
    (95, "G", "A", "3_prime_UTR_variant"),
    (21, "G", "A", "splice_donor_variant"),
    (22, "T", "A", "splice_donor_variant"),
    (20, "TGT", "T", "splice_donor_variant"),
    (19, "ATGTAC", "A", "splice_donor_variant"),
    (39, "A", "C", "splice_acceptor_variant"),
    (40, "G", "C", "splice_acceptor_variant"),
    (40, "GG", "", "splice_acceptor_variant"),
    (23, "A", "C", "splice_region_variant"),
    (28, "C", "A", "splice_region_variant"),
    (29, "C", "A", "intron_variant"),
    (32, "C", "A", "intron_variant"),
    (33, "C", "A", "splice_region_variant"),
    (19, "A", "G", "splice_region_variant"),  # AAA to AAG, synonymous, two bases before the end
    (41, "G", "A", "stop_gained"),  # TGG to TAG outranks the splice region
    (58, "C", "A", "splice_region_variant"),
    (57, "C", "A", "3_prime_UTR_variant"),
    (61, "G", "A", "splice_donor_variant"),
    (70, "C", "A", "intron_variant"),
    (90, "G", "A", "splice_acceptor_variant"),
    (93, "G", "A", "splice_region_variant"),
    (94, "G", "A", "3_prime_UTR_variant"),
    (20, "T", "TA", "splice_region_variant"),  # between exon and intron: neither is changed
    (9, "T", "A", "intergenic_variant"),
    (97, "T", "A", "intergenic_variant"),
    (9, "T", "TA", "intergenic_variant"),
    (14, "A", "A", "intergenic_variant"),
]


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_every_term_on_both_strands(caller_of, reverse):
    caller = caller_of(genome(reverse), rows(reverse))
    for start, ref, alt, term in CASES:
        assert BASES[start : start + len(ref)] == ref
        found = caller.call(*on_strand(reverse, start, ref, alt))
        assert (start, ref, alt, found.term) == (start, ref, alt, term)
        assert found.genes == (() if term == "intergenic_variant" else ("ABC",))
    assert {case[3] for case in CASES} == set(TERMS) - {
        "non_coding_transcript_exon_variant",
        "coding_sequence_variant",
    }


def test_lower_case_alleles_and_shared_ends_are_the_same_variant(caller_of):
    caller = caller_of({"1": BASES.lower()}, rows(reverse=False))
    assert caller.call("1", 17, "a", "t").term == "stop_gained"
    assert caller.call("1", 15, "TGAAA", "TGTAA").term == "stop_gained"


def test_without_coding_sequence_exons_and_introns_remain(caller_of):
    caller = caller_of(genome(False), rows(False, coding=[]))
    terms = [caller.call("1", at, BASES[at], "N").term for at in (15, 22, 30, 93)]
    assert terms == [
        "non_coding_transcript_exon_variant",
        "splice_donor_variant",
        "intron_variant",
        "splice_region_variant",
    ]


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_a_coding_sequence_that_has_lost_its_beginning(caller_of, reverse):
    # The first codon is not the protein's first: what stands there is missense, not start_lost.
    text = rows(reverse, attributes=";partial=true;start_range=.,15;end_range=84,.")
    assert caller_of(genome(reverse), text).call(*on_strand(reverse, 14, "A", "C")).term == (
        "missense_variant"
    )
    # It begins in the middle of a codon: AAA is read from the second base of ATGAAA on.
    shifted = [(15, 21), (41, 55)]
    text = rows(reverse, coding=shifted).replace("\t0\tID=c", "\t2\tID=c")
    caller = caller_of(genome(reverse), text)
    assert caller.call(*on_strand(reverse, 15, "T", "A")).term == "coding_sequence_variant"
    assert caller.call(*on_strand(reverse, 17, "A", "T")).term == "stop_gained"


def test_bases_that_are_not_known_leave_the_effect_open(caller_of):
    bases = BASES[:18] + "N" + BASES[19:]
    caller = caller_of({"1": bases}, rows(reverse=False))
    assert caller.call("1", 17, "A", "T").term == "coding_sequence_variant"
    assert caller.call("1", 45, "T", "C").term == "synonymous_variant"


def test_the_most_severe_of_several_transcripts_with_the_genes_it_is_for(caller_of):
    other = rows(reverse=False).replace("ABC", "DEF").replace("=t", "=u").replace("=g", "=h")
    lower = rows(False, coding=[]).replace("ABC", "XYZ").replace("=t", "=v").replace("=g", "=i")
    caller = caller_of(genome(False), rows(False) + other.partition("\n")[2] + lower)
    assert caller.num_transcripts == 3
    assert caller.call("1", 17, "A", "T") == ("stop_gained", ("ABC", "DEF"))
    assert caller.call("1", 22, "T", "A") == ("splice_donor_variant", ("ABC", "DEF", "XYZ"))


def test_a_base_that_is_read_twice_changes_both_codons(caller_of):
    # ATG AAA TGC, one base back, CGG TAA: as of ribosomes that slip.
    bases = "CC" + "ATGAAATGC" + "GGTAA" + "CC"
    gff = (
        "##gff-version 3\n"
        "1\tt\tCDS\t3\t11\t.\t+\t0\tID=c;gene=slip\n"
        "1\tt\tCDS\t11\t16\t.\t+\t0\tID=c;gene=slip\n"
    )
    caller = caller_of({"1": bases}, gff)
    assert caller.call("1", 10, "C", "T") == ("missense_variant", ("slip",))  # C R to C W
    assert caller.call("1", 10, "C", "A").term == "stop_gained"  # TGA; AGG
    assert caller.call("1", 15, "A", "G").term == "stop_retained_variant"


def test_a_base_that_is_not_read_is_no_intron(caller_of):
    # ATG AAA TGC, T left out, CGG TAA.
    bases = "CC" + "ATGAAATGC" + "T" + "CGGTAA" + "CC"
    gff = (
        "##gff-version 3\n"
        "1\tt\tCDS\t3\t11\t.\t+\t0\tID=c;gene=slip\n"
        "1\tt\tCDS\t13\t18\t.\t+\t0\tID=c;gene=slip\n"
    )
    caller = caller_of({"1": bases}, gff)
    assert caller.call("1", 11, "T", "A").term == "coding_sequence_variant"
    assert caller.call("1", 12, "C", "A").term == "synonymous_variant"  # CGG to AGG
    assert caller.call("1", 10, "C", "G").term == "missense_variant"


@pytest.mark.parametrize(
    ("code", "alt", "term"),
    [
        (1, "GTG", "start_lost"),
        (1, "TTG", "start_lost"),
        (11, "GTG", "synonymous_variant"),
        (11, "TTG", "synonymous_variant"),
        (11, "ACG", "start_lost"),
    ],
)
def test_starts_other_than_atg_are_those_of_the_code(caller_of, code, alt, term):
    gff = f"##gff-version 3\n1\tt\tCDS\t1\t9\t.\t+\t0\tID=c;transl_table={code}\n"
    assert caller_of({"1": "ATGAAATAA"}, gff).call("1", 0, "ATG", alt).term == term


def test_a_start_other_than_atg_is_read_as_methionine(caller_of):
    gff = "##gff-version 3\n1\tt\tCDS\t1\t9\t.\t+\t0\tID=c;transl_table=11\n"
    caller = caller_of({"1": "GTGAAATAA"}, gff)
    assert caller.call("1", 0, "G", "A").term == "synonymous_variant"
    assert caller.call("1", 0, "G", "C").term == "synonymous_variant"
    assert caller.call("1", 1, "T", "C").term == "start_lost"


@pytest.mark.parametrize(
    ("contig", "options", "term"),
    [
        ("chrM", {}, "missense_variant"),  # TGA is W, AGA a stop
        ("MT", {}, "missense_variant"),
        ("chr1", {}, "stop_gained"),
        ("chr1", {"code": 4}, "missense_variant"),
    ],
)
def test_the_code_of_a_contig(caller_of, contig, options, term):
    gff = f"##gff-version 3\n{contig}\tt\tCDS\t1\t9\t.\t+\t0\tID=c\n"
    caller = caller_of({contig: "ATGTGCTAA"}, gff, **options)
    assert caller.call(contig, 5, "C", "A").term == term


def test_memory_is_bounded_and_numbers_do_not_depend_on_it(caller_of, monkeypatch):
    from genolm.genome.consequences import caller as module

    text = rows(reverse=False)
    two = text + text.replace("1\tt", "2\tt").partition("\n")[2]
    monkeypatch.setattr(module, "BASES_KEPT", 1)
    caller = caller_of({"1": BASES, "2": BASES}, two)
    for _ in range(3):
        for contig in ("1", "2"):
            assert caller.call(contig, 17, "A", "T").term == "stop_gained"
    assert len(caller._sequences) == 1


def test_every_coding_sequence_of_e_coli_is_a_protein(data_folder):
    genomes = data_folder / "genomes"
    fasta = Fasta(genomes / "ecoli_K12_MG1655.fa.gz")
    caller = ConsequenceCaller(genomes / "ecoli_K12_MG1655.gff.gz", fasta)
    proteins = {
        one.gene: caller._sequence(one.coding).protein()
        for transcripts in caller._index._transcripts.values()
        for one in transcripts
        if one.coding is not None
    }
    assert len(proteins) > 4200
    odd = {name for name, text in proteins.items() if "*" in text[:-1]}
    assert odd == {"fdnG", "fdoG", "fdhF"}  # selenocysteine
    assert all(text[0] == "M" and text[-1] == "*" for text in proteins.values())
