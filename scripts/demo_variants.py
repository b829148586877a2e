"""Stop-gain and synonymous variants inside long open reading frames, and awkward records."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256

import numpy as np
from Bio.Data import CodonTable
from Bio.Seq import reverse_complement
from demo_orfs import MARGIN, UNIQUE, Orf
from numpy.typing import NDArray

CLASSES = ("stop_gain", "synonymous")
PER_CLASS = 400
CONTEXT = 100
GENETIC_CODE = CodonTable.unambiguous_dna_by_id[11]
MISSING_CONTIG = "plasmid_without_sequence"

HEADER = """\
##fileformat=VCFv4.2
##source=genolm scripts/make_demo_data.py
##reference=ecoli536.fa.gz
##contig=<ID={contig},length={length}>
##contig=<ID={missing},length=1000>
##ALT=<ID=DEL,Description="Deletion">
##INFO=<ID=CLASS,Number=1,Type=String,Description="stop_gain, synonymous or awkward">
##INFO=<ID=STRAND,Number=1,Type=String,Description="Strand of the open reading frame">
##INFO=<ID=CODON,Number=1,Type=String,Description="Codon before>after, on the frame's strand">
##INFO=<ID=ORF_START,Number=1,Type=Integer,Description="First base of the frame, forward strand">
##INFO=<ID=ORF_END,Number=1,Type=Integer,Description="Last base of the frame, forward strand">
##INFO=<ID=NOTE,Number=1,Type=String,Description="Why an awkward record is awkward">
##INFO=<ID=SVTYPE,Number=1,Type=String,Description="Type of structural variant">
##INFO=<ID=END,Number=1,Type=Integer,Description="Last base of the variant">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO
"""


@dataclass(frozen=True)
class Change:
    """A substitution in a frame: ``start`` 0-based, ref and alt on the forward strand."""

    start: int
    ref: str
    alt: str
    kind: str
    codon: str
    orf: Orf


def amino_acid(codon: str) -> str:
    """One letter, or ``*`` for a stop codon (genetic code 11, bacteria)."""
    return "*" if codon in GENETIC_CODE.stop_codons else GENETIC_CODE.forward_table[codon]


@cache
def codon_changes(plus: str, strand: str) -> list[tuple[int, str, str, str]]:
    """(offset, alt, kind, "before>after") of a codon's stop-gain and synonymous substitutions.

    ``plus``, offset and alt are on the forward strand, before and after on the frame's.
    """
    changes = []
    for offset in range(3):
        for alt in "ACGT".replace(plus[offset], ""):
            mutated = plus[:offset] + alt + plus[offset + 1 :]
            before, after = (
                (plus, mutated)
                if strand == "+"
                else (reverse_complement(plus), reverse_complement(mutated))
            )
            if amino_acid(after) == amino_acid(before):
                changes.append((offset, alt, "synonymous", f"{before}>{after}"))
            elif amino_acid(after) == "*":
                changes.append((offset, alt, "stop_gain", f"{before}>{after}"))
    return changes


def changes_in(sequence: str, orf: Orf) -> list[Change]:
    """All stop-gain and synonymous substitutions of a frame, away from both of its ends."""
    return [
        Change(start + offset, sequence[start + offset], alt, kind, codon, orf)
        for start in range(orf.start + MARGIN, orf.end - MARGIN, 3)
        for offset, alt, kind, codon in codon_changes(sequence[start : start + 3], orf.strand)
    ]


def _hash(change: Change) -> bytes:
    return sha256(f"{change.start}{change.alt}".encode()).digest()


def choose_changes(
    sequence: str, orfs: list[Orf], unique: NDArray[np.bool_], first: int
) -> list[Change]:
    """Choose one change of each class from each of ``PER_CLASS`` frames that lie after ``first``.

    Both classes come from the same frames, so that no property of a gene tells them apart.
    """
    chosen: list[Change] = []
    candidates = [orf for orf in orfs if orf.start >= first]
    for orf in sorted(candidates, key=lambda orf: sha256(str(orf.start).encode()).digest()):
        seen_once = [
            change
            for change in changes_in(sequence, orf)
            if unique[change.start - CONTEXT : change.start + CONTEXT - UNIQUE + 1].all()
        ]
        by_class = [[c for c in seen_once if c.kind == kind] for kind in CLASSES]
        if all(by_class):
            chosen += [min(changes, key=_hash) for changes in by_class]
        if len(chosen) == len(CLASSES) * PER_CLASS:
            break
    return sorted(chosen, key=lambda change: (change.start, change.alt))


def change_rows(changes: list[Change]) -> list[tuple[int, str, str, str, str]]:
    """Rows (start, id, ref, alt, info) of the chosen changes."""
    rows = []
    for change in changes:
        info = (
            f"CLASS={change.kind};STRAND={change.orf.strand};CODON={change.codon};"
            f"ORF_START={change.orf.start + 1};ORF_END={change.orf.end}"
        )
        name = f"{change.kind}_{change.start + 1}{change.alt}"
        rows.append((change.start, name, change.ref, change.alt, info))
    return rows


def awkward_rows(sequence: str, first: int) -> list[tuple[int, str, str, str, str]]:
    """Records a real VCF may hold, a kilobase apart, the first at ``first``."""

    def base(kilobases: int, offset: int = 0) -> str:
        return sequence[first + 1000 * kilobases + offset]

    def other(ref: str, count: int = 1) -> list[str]:
        return [letter for letter in "ACGT" if letter != ref][:count]

    deleted = sequence[first : first + 4]
    rows = [
        (0, 0, deleted, deleted[0], "deletion"),
        (0, 2, deleted[2], "*", "overlapped_by_the_deletion_before"),
        (1, 0, base(1), base(1) + "ACG", "insertion"),
        (2, 0, base(2), ",".join(other(base(2), 2)), "two_alternative_alleles"),
        (3, 0, base(3) + base(3, 1), other(base(3))[0] + other(base(3, 1))[0], "two_bases_at_once"),
        (4, 0, base(4), "<DEL>", "symbolic_allele"),
        (5, 0, base(5), ".", "no_alternative_allele"),
        (6, 0, base(6), "N", "alternative_allele_is_no_base"),
        (7, 0, other(base(7))[0], base(7), "REF_differs_from_the_genome"),
    ]
    result = []
    for kilobases, offset, ref, alt, note in rows:
        start = first + 1000 * kilobases + offset
        info = f"CLASS=awkward;NOTE={note}"
        if alt == "<DEL>":
            info += f";SVTYPE=DEL;END={start + 100}"
        result.append((start, f"awkward_{start + 1}", ref, alt, info))
    return result


def vcf_text(sequence: str, contig: str, changes: list[Change], first: int) -> str:
    """Return the whole VCF, sorted, ending with a record on a contig that the genome lacks."""
    rows = sorted(change_rows(changes) + awkward_rows(sequence, first))
    lines = [
        f"{contig}\t{start + 1}\t{name}\t{ref}\t{alt}\t.\t.\t{info}"
        for start, name, ref, alt, info in rows
    ]
    lines.append(
        f"{MISSING_CONTIG}\t100\tawkward_contig\tA\tG\t.\t.\t"
        "CLASS=awkward;NOTE=contig_not_in_the_genome"
    )
    header = HEADER.format(contig=contig, length=len(sequence), missing=MISSING_CONTIG)
    return header + "\n".join(lines) + "\n"
