"""Against translating the whole altered coding sequence with Biopython, and against bcftools."""

import itertools
import random
import re
from dataclasses import dataclass

import pysam.bcftools
import pytest
from Bio.Seq import Seq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genolm.genome.consequences import TERMS
from genolm.genome.sequence import reverse_complement

STOPS = ("TAA", "TAG", "TGA")
CODONS = [a + b + c for a in "ACGT" for b in "ACGT" for c in "ACGT" if a + b + c not in STOPS]


@dataclass
class Gene:
    """A gene on a contig of its own; spans are 0-based, half-open, ascending."""

    bases: str
    reverse: bool
    exons: list
    coding: list

    def gff(self, contig="1", phase=0):
        strand = "-" if self.reverse else "+"
        kind = "biotype=protein_coding"
        start, end = self.exons[0][0] + 1, self.exons[-1][1]
        row = f"{contig}\tt\t{{}}\t{{}}\t{{}}\t.\t{strand}\t{{}}\t{{}}\n".format
        text = f"##gff-version 3\n##sequence-region {contig} 1 {len(self.bases)}\n"
        text += row("gene", start, end, ".", f"ID=gene:G1;Name=ABC;{kind}")
        text += row("mRNA", start, end, ".", f"ID=transcript:T1;Parent=gene:G1;{kind}")
        for a, b in self.exons:
            text += row("exon", a + 1, b, ".", "Parent=transcript:T1")
        done = phase
        parts = self.coding[::-1] if self.reverse else self.coding
        for a, b in parts:
            text += row("CDS", a + 1, b, -done % 3, "ID=CDS:P1;Parent=transcript:T1")
            done += b - a
        utrs = self.utrs()
        for kind, a, b in utrs:
            text += row(kind, a + 1, b, ".", "Parent=transcript:T1")
        return text

    def utrs(self):
        low, high = self.coding[0][0], self.coding[-1][1]
        names = ("five_prime_UTR", "three_prime_UTR")
        left, right = names[::-1] if self.reverse else names
        found = [(left, a, min(b, low)) for a, b in self.exons if a < low]
        return found + [(right, max(a, high), b) for a, b in self.exons if b > high]

    def spliced(self, bases, parts):
        text = "".join(bases[a:b] for a, b in parts)
        return reverse_complement(text) if self.reverse else text

    def protein(self, bases=None, parts=None):
        text = self.spliced(bases or self.bases, parts or self.coding)
        return str(Seq(text[: len(text) // 3 * 3]).translate())


def make_gene(seed, *, reverse, codons=12, introns=2):
    """A gene that begins with ATG, has no stop inside and ends with one, cut up by introns."""
    draw = random.Random(seed)
    text = "ATG" + "".join(draw.choices(CODONS, k=codons)) + draw.choice(STOPS)
    left, right = draw.randrange(4, 12), draw.randrange(4, 12)

    def noise(size):
        return "".join(draw.choices("ACGT", k=size))

    message = noise(left) + text + noise(right)
    cuts = sorted(draw.sample(range(1, len(message)), introns))
    bounds = [0, *cuts, len(message)]
    flank = noise(draw.randrange(15, 30))
    bases, exons, coding = flank, [], []
    for number, (a, b) in enumerate(itertools.pairwise(bounds)):
        if number:
            bases += "GT" + noise(draw.randrange(18, 30)) + "AG"
        start = len(bases)
        bases += message[a:b]
        exons.append((start, len(bases)))
        low, high = max(a, left), min(b, left + len(text))
        if low < high:
            coding.append((start + low - a, start + high - a))
    bases += noise(20)
    if reverse:
        size = len(bases)
        bases = reverse_complement(bases)
        exons = [(size - b, size - a) for a, b in exons[::-1]]
        coding = [(size - b, size - a) for a, b in coding[::-1]]
    return Gene(bases, reverse, exons, coding)


SETTINGS = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
GENES = st.builds(
    make_gene,
    st.integers(0, 10**6),
    reverse=st.booleans(),
    codons=st.integers(1, 14),
    introns=st.integers(0, 4),
)


def splice_terms(gene, position):
    """The splicing term of a base, by walking along every intron."""
    found = []
    for (low, before), (after, high) in zip(gene.exons, gene.exons[1:], strict=False):
        donor, acceptor = "splice_donor_variant", "splice_acceptor_variant"
        left, right = (acceptor, donor) if gene.reverse else (donor, acceptor)
        if before <= position < before + 2:
            found.append(left)
        if after - 2 <= position < after:
            found.append(right)
        near = range(max(low, before - 3), before + 8), range(after - 8, min(high, after + 3))
        if any(position in one for one in near):
            found.append("splice_region_variant")
    return found


def place_of(gene, position):
    for name, a, b in gene.utrs():
        if a <= position < b:
            return f"{name[0].replace('f', '5').replace('t', '3')}_prime_UTR_variant"
    return "intron_variant" if gene.exons[0][0] <= position < gene.exons[-1][1] else None


def snv_term(gene, position, alt):
    """The consequence of an SNV from the proteins alone."""
    found = splice_terms(gene, position)
    if any(a <= position < b for a, b in gene.coding):
        changed = gene.bases[:position] + alt + gene.bases[position + 1 :]
        ref, new = gene.protein(), gene.protein(changed)
        if new[0] != "M":
            found.append("start_lost")
        elif "*" in new[:-1]:
            found.append("stop_gained")
        elif new[-1] != "*":
            found.append("stop_lost")
        elif ref != new:
            found.append("missense_variant")
        elif gene.spliced(gene.bases, gene.coding)[-3:] != gene.spliced(changed, gene.coding)[-3:]:
            found.append("stop_retained_variant")
        else:
            found.append("synonymous_variant")
    else:
        found.append(place_of(gene, position) or "intergenic_variant")
    return min(found, key=TERMS.index)


@SETTINGS
@given(gene=GENES)
def test_every_snv_of_a_gene_is_what_its_protein_says(caller_of, gene):
    caller = caller_of({"1": gene.bases}, gene.gff())
    for position, ref in enumerate(gene.bases):
        for alt in "ACGT".replace(ref, ""):
            found = caller.call("1", position, ref, alt)
            expected = snv_term(gene, position, alt)
            assert (position, alt, found.term) == (position, alt, expected)
            assert found.genes == (() if expected == "intergenic_variant" else ("ABC",))


def indel_term(gene, start, end, alt):
    """The consequence of an edit inside one coding part, by translating all that it leaves."""
    grown = len(alt) - (end - start)
    bases = gene.bases[:start] + alt + gene.bases[end:]
    parts = [(a + grown * (a >= end), b + grown * (b >= end)) for a, b in gene.coding]
    whole = gene.spliced(bases, parts)
    before = gene.spliced(gene.bases, gene.coding)
    ref, new = gene.protein(), gene.protein(bases, parts)
    new = new[: new.find("*") + 1] if "*" in new else new
    lost = whole[:3] != "ATG"
    if new == ref and not lost:
        same_stop = grown == 0 and before[-3:] == whole[-3:]
        return "synonymous_variant" if same_stop else "stop_retained_variant"
    if grown % 3:
        differs = next((i for i, (a, b) in enumerate(zip(ref, new, strict=False)) if a != b), None)
        gained = not lost and differs is not None and new[differs] == "*"
        return "stop_gained" if gained else "frameshift_variant"
    if lost:
        return "start_lost"
    old, now, moved = ref.find("*"), new.find("*"), grown // 3
    last = sum(b - a for a, b in gene.coding) - 3  # where the stop codon begins
    low, high = coding_span(gene, start, end)
    touches = high > last or (low == high and low > last)
    if now < 0:
        return "stop_lost"
    if now < old + moved and (now < old or not touches):
        return "stop_gained"
    if now > old + moved and now > old:
        return "stop_lost"
    return {0: "missense_variant"}.get(
        grown, "inframe_insertion" if grown > 0 else "inframe_deletion"
    )


def coding_span(gene, start, end):
    """An edit in the coordinates of the coding sequence."""
    done = 0
    for a, b in gene.coding[::-1] if gene.reverse else gene.coding:
        if a <= start and end <= b:
            return (
                (done + b - end, done + b - start)
                if gene.reverse
                else (
                    done + start - a,
                    done + end - a,
                )
            )
        done += b - a
    raise AssertionError


@SETTINGS
@given(gene=GENES, data=st.data())
def test_every_edit_of_a_gene_is_what_its_protein_says(caller_of, gene, data):
    caller = caller_of({"1": gene.bases}, gene.gff())
    for _ in range(40):
        a, b = data.draw(st.sampled_from(gene.coding))
        start = data.draw(st.integers(a, b))
        end = data.draw(st.integers(start, min(b, start + 7)))
        alt = data.draw(st.one_of(st.text("ACGT", max_size=7), st.sampled_from(STOPS)))
        ref = gene.bases[start:end]
        trimmed = trim(start, ref, alt)
        if trimmed is None:
            continue
        low, old, new = trimmed
        if not old and low in (a, b):
            continue  # before or after the part, not in it
        if splice_near(gene, low, low + len(old)):
            continue
        expected = indel_term(gene, low, low + len(old), new)
        assert (start, ref, alt, caller.call("1", start, ref, alt).term) == (
            start,
            ref,
            alt,
            expected,
        )


def trim(start, ref, alt):
    """The edit without what its alleles share; None when nothing is left."""
    if ref == alt:
        return None
    while ref and alt and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    while ref and alt and ref[0] == alt[0]:
        start, ref, alt = start + 1, ref[1:], alt[1:]
    return start, ref, alt


def splice_near(gene, start, end):
    return any(splice_terms(gene, position) for position in range(start - 1, end + 1))


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("introns", [0, 3])
def test_snvs_are_what_bcftools_csq_says(caller_of, tmp_path, reverse, introns):
    gene = make_gene(7 + introns, reverse=reverse, codons=len(CODONS) // 3, introns=introns)
    caller = caller_of({"1": gene.bases}, gene.gff())
    lines = ["##fileformat=VCFv4.2", f"##contig=<ID=1,length={len(gene.bases)}>"]
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    for position, ref in enumerate(gene.bases, 1):
        lines += [f"1\t{position}\t.\t{ref}\t{alt}\t.\t.\t." for alt in "ACGT".replace(ref, "")]
    (tmp_path / "in.vcf").write_text("\n".join(lines) + "\n")
    names = [str(tmp_path / name) for name in ("g.fa", "a.gff3", "in.vcf")]
    said = pysam.bcftools.csq("-l", "-v", "0", "-f", names[0], "-g", names[1], names[2])
    records = [line.split("\t") for line in said.splitlines() if not line.startswith("#")]
    assert len(records) == 3 * len(gene.bases)
    for record in records:
        found = caller.call("1", int(record[1]) - 1, record[3], record[4]).term
        assert (record[1:5], found) == (record[1:5], term_of(record[7]))


def term_of(info):
    """The most severe of the terms in bcftools' BCSQ, spelt out."""
    match = re.search(r"BCSQ=([^;]*)", info)
    if match is None:
        return "intergenic_variant"
    short = {name for one in match[1].split(",") for name in one.split("|")[0].split("&")}
    spelt = {term.lower().removesuffix("_variant"): term for term in TERMS}
    return min((spelt[name] for name in short), key=TERMS.index)
