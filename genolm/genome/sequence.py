"""DNA as text: reverse complement, GC content, alphabet."""

import re

_COMPLEMENT = str.maketrans(
    "ACGTURYSWKMBDHVNacgturyswkmbdhvn",
    "TGCAAYRSWMKVHDBNtgcaayrswmkvhdbn",
)
_LETTERS = frozenset("ACGTacgt")  # most alleles of most files are one of these
_ACGT = re.compile("[ACGTacgt]+")


def reverse_complement(sequence: str) -> str:
    """Return the other strand, read 5' to 3'.

    IUPAC ambiguity codes are complemented as sets (R=AG becomes Y=CT), U pairs with A, the case
    of each letter is kept, and any other character stays as it is.
    """
    return sequence.translate(_COMPLEMENT)[::-1]


def gc_fraction(sequence: str) -> float:
    """Return the share of G and C among the bases A, C, G, T; nan where there is none of them."""
    upper = sequence.upper()
    strong = upper.count("G") + upper.count("C")
    known = strong + upper.count("A") + upper.count("T")
    return strong / known if known else float("nan")


def is_acgt(sequence: str) -> bool:
    """Say whether the sequence has bases and all are A, C, G or T, in either case."""
    return sequence in _LETTERS or _ACGT.fullmatch(sequence) is not None
