"""Substitutions in held-out genes that a model of bacterial DNA is tested on.

Coordinates are 0-based half-open on the forward strand. All variants are computed from the
sequence, none is observed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from Bio.Seq import reverse_complement
from demo_orfs import MARGIN, STOPS, UNIQUE, Orf, as_numbers, canonical_words
from demo_variants import CONTEXT, amino_acid
from numpy.typing import NDArray

from genolm.genome.variant import Variant

LEAST = 900
PER_GENE = 2
KINDS = ("stop_gain", "out_of_frame", "synonymous", "missense")
STARTS = ("ATG", "GTG", "TTG")


@dataclass(frozen=True)
class Tested:
    """A variant, what it does, the gene it is in, and what it changes on the gene's strand."""

    variant: Variant
    kind: str
    gene: Orf
    words: str


def choose_variants(
    chrom: str, sequence: str, genes: Iterable[Orf], usable: NDArray[np.bool_]
) -> list[Tested]:
    """Choose ``PER_GENE`` variants of each kind from every gene that has as many.

    An out-of-frame variant makes the same change of the same three bases, such as CAA>TAA, as the
    stop-gain variant it goes with, in the same gene and on its strand, but one or two bases off
    the reading frame, where it stops nothing. Synonymous and missense variants are drawn freely.

    Args:
        chrom: Name of the contig.
        sequence: Its bases.
        genes: Frames from start to stop codon.
        usable: Positions (length,) that may be changed.
    """
    chosen: list[Tested] = []
    for gene in genes:
        found = [one for one in changes_in(chrom, sequence, gene) if usable[one.variant.start]]
        picked = _pick(found)
        if all(len(group) == PER_GENE for group in picked.values()):
            chosen += [one for group in picked.values() for one in group]
    return chosen


def changes_in(chrom: str, sequence: str, gene: Orf) -> list[Tested]:
    """Every single-base change of a gene, away from its ends, that is of one of ``KINDS``."""
    frame = sequence[gene.start : gene.end]
    frame = frame if gene.strand == "+" else reverse_complement(frame)
    found = []
    for place in range(MARGIN, len(frame) - MARGIN):
        for letter in "ACGT".replace(frame[place], ""):
            around = frame[place - 2 : place + 3]
            changed = around[:2] + letter + around[3:]
            kind, words = _judge(around, changed, place % 3)
            if kind is not None:
                variant = _variant(chrom, sequence, gene, place, letter)
                found.append(Tested(variant, kind, gene, words))
    return found


def _judge(around: str, changed: str, phase: int) -> tuple[str | None, str]:
    """Kind and "before>after" of a change of the middle of five bases."""
    # The codon begins `phase` bases before the changed one; two more words hold it.
    pairs = [(around[i : i + 3], changed[i : i + 3]) for i in (2 - phase, *_others(phase))]
    codon, *shifted = pairs
    stops = [f"{before}>{after}" for before, after in shifted if after in STOPS]
    if codon[1] in STOPS:
        return "stop_gain", f"{codon[0]}>{codon[1]}"
    if stops:
        return "out_of_frame", stops[0]
    same = amino_acid(codon[0]) == amino_acid(codon[1])
    return ("synonymous" if same else "missense"), f"{codon[0]}>{codon[1]}"


def _others(phase: int) -> list[int]:
    return [start for start in range(3) if start != 2 - phase]


def _variant(chrom: str, sequence: str, gene: Orf, place: int, letter: str) -> Variant:
    start = gene.start + place if gene.strand == "+" else gene.end - 1 - place
    alt = letter if gene.strand == "+" else reverse_complement(letter)
    return Variant(chrom, start, sequence[start], alt)


def _pick(found: list[Tested]) -> dict[str, list[Tested]]:
    groups: dict[str, list[Tested]] = {kind: [] for kind in KINDS}
    for one in sorted(found, key=_hash):
        groups[one.kind].append(one)
    picked: dict[str, list[Tested]] = {kind: groups[kind][:PER_GENE] for kind in KINDS[2:]}
    stops: list[Tested] = []
    partners: list[Tested] = []
    for one in groups["stop_gain"]:
        spare = (other for other in groups["out_of_frame"] if other.words == one.words)
        partner = next((other for other in spare if other not in partners), None)
        if partner is not None and len(stops) < PER_GENE:
            stops.append(one)
            partners.append(partner)
    return {"stop_gain": stops, "out_of_frame": partners, **picked}


def _hash(one: Tested) -> bytes:
    return sha256(f"{one.variant.start}{one.variant.alt}".encode()).digest()


def seen_once(words_are_unique: NDArray[np.bool_], length: int) -> NDArray[np.bool_]:
    """Positions (length,) whose surroundings hold only words that occur once in the genome."""
    wrong = np.concatenate([[0], np.cumsum(~words_are_unique)])
    usable = np.zeros(length, dtype=np.bool_)
    places = np.arange(CONTEXT, length - CONTEXT)
    usable[places] = wrong[places + CONTEXT - UNIQUE + 1] == wrong[places - CONTEXT]
    return usable


def is_gene(frame: str) -> bool:
    """Whether bases read from a start codon to their only stop codon."""
    codons = [frame[at : at + 3] for at in range(0, len(frame) - 2, 3)]
    return (
        len(frame) >= LEAST
        and len(frame) % 3 == 0
        and codons[0] in STARTS
        and codons[-1] in STOPS
        and not set(codons[:-1]) & set(STOPS)
    )


def genes_without_words(
    sequence: str, genes: Iterable[Orf], known: NDArray[np.uint64]
) -> list[Orf]:
    """Genes that share no word of ``UNIQUE`` bases, on either strand, with ``known`` ones."""
    words = canonical_words(as_numbers(sequence))
    shared = np.isin(words, known)
    return [gene for gene in genes if not shared[gene.start : gene.end - UNIQUE + 1].any()]
