"""The 96 trinucleotide changes: a SNV and its neighbours, written on the strand of the pyrimidine.

A SNV on one strand is another SNV on the other: G>A in TGC is C>T in GCA. As in tables of
mutational signatures the two are one class, called after the strand whose REF is C or T, such as
``G[C>T]A`` (Alexandrov et al. 2013, Nature 500:415).
"""

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genolm.data.edit_windows import GenomeWindows, allele_ids
from genolm.genome.edits import Edit
from genolm.genome.sequence import reverse_complement
from genolm.tokenization.vocabulary import A

BASES: Final = "ACGT"
PYRIMIDINES: Final = "CT"


@dataclass(frozen=True, slots=True)
class Change:
    """What a SNV does to its trinucleotide.

    Attributes:
        name: The class, one of ``CHANGES``.
        reverse: Whether the class is written on the genome's reverse strand.
    """

    name: str
    reverse: bool


def _name(trinucleotide: str, alt: str) -> str:
    return f"{trinucleotide[0]}[{trinucleotide[1]}>{alt}]{trinucleotide[2]}"


def _change(trinucleotide: str, alt: str) -> Change:
    if trinucleotide[1] in PYRIMIDINES:
        return Change(_name(trinucleotide, alt), reverse=False)
    return Change(_name(reverse_complement(trinucleotide), reverse_complement(alt)), reverse=True)


_TRINUCLEOTIDES: Final = ["".join(bases) for bases in itertools.product(BASES, repeat=3)]
CONTEXTS: Final = tuple(text for text in _TRINUCLEOTIDES if text[1] in PYRIMIDINES)
CHANGES: Final = tuple(_name(text, alt) for text in CONTEXTS for alt in BASES if alt != text[1])
_KNOWN: Final = {
    (allele_ids(text).tobytes(), alt): _change(text, alt)
    for text in _TRINUCLEOTIDES
    for alt in BASES
    if alt != text[1]
}


def _context_numbers() -> NDArray[np.int8]:
    """The number in ``CONTEXTS`` of every trinucleotide as base 4 digits, either strand."""
    either = [
        text if text[1] in PYRIMIDINES else reverse_complement(text) for text in _TRINUCLEOTIDES
    ]
    return np.array([CONTEXTS.index(text) for text in either], dtype=np.int8)


_CONTEXT_NUMBERS: Final = _context_numbers()


def change_of(genome: GenomeWindows, edit: Edit) -> Change | None:
    """Return the class of an edit, None where it is no SNV or a neighbour is not A, C, G or T.

    Args:
        genome: Where the neighbours come from.
        edit: Its ``ref`` must stand in the genome.
    """
    if len(edit.ref) != 1 or len(edit.alt) != 1:
        return None
    ids = genome.ids(edit.contig, edit.start - 1, edit.start + 2)
    return _KNOWN.get((ids.tobytes(), edit.alt))


def contexts_at(ids: NDArray[np.uint8], places: NDArray[np.int64]) -> NDArray[np.int8]:
    """Return which of ``CONTEXTS`` stands at each place, on either strand; -1 for none.

    Args:
        ids: Token ids (length,).
        places: Of the middle bases (n,), each with a neighbour on either side.

    Returns:
        Numbers (n,).
    """
    three = np.stack([ids[places + offset] for offset in (-1, 0, 1)]).astype(np.int64) - A
    known = (three >= 0).all(axis=0) & (three < len(BASES)).all(axis=0)
    numbers = np.full(len(places), -1, dtype=np.int8)
    numbers[known] = _CONTEXT_NUMBERS[np.array([16, 4, 1]) @ three[:, known]]
    return numbers
