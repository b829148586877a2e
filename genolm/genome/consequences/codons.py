"""Genetic codes: what a codon stands for, by the tables of NCBI."""

from functools import cache
from typing import Final

from genolm.errors import InputError, UsageError

STANDARD: Final = 1
STOP: Final = "*"
UNKNOWN: Final = "X"
MITOCHONDRIAL: Final = {"M": 2, "MT": 2, "Mito": 3, "mitochondrion_genome": 5}


class GeneticCode:
    """One of NCBI's translation tables.

    Args:
        number: Its number, such as 1 (standard) or 11 (bacteria).

    Attributes:
        number: Its number.
        starts: Codons that a coding sequence may begin with.
        kept_starts: Codons that keep a start a start: all of them, but ATG alone in the standard
            code, where the others begin hardly any protein.

    Raises:
        InputError: There is no such table.
    """

    def __init__(self, number: int) -> None:
        from Bio.Data import CodonTable

        table = CodonTable.unambiguous_dna_by_id.get(number)
        if table is None:
            raise InputError(f"there is no genetic code {number}; NCBI has {_known()}")
        self.number = number
        self.starts = frozenset(table.start_codons)
        self.kept_starts = frozenset(("ATG",)) if number == STANDARD else self.starts
        # A codon that is both (codes 27, 28 and 31) is the amino acid, as in Biopython.
        self._letters: dict[str, str] = {
            **dict.fromkeys(table.stop_codons, STOP),
            **table.forward_table,
        }

    def translate(self, bases: str) -> str:
        """Return one letter a codon: ``*`` for a stop, ``X`` where a base is none of A, C, G, T.

        Args:
            bases: Upper case; a codon that is cut short at the end counts for nothing.
        """
        letters = self._letters
        return "".join(
            [letters.get(bases[i : i + 3], UNKNOWN) for i in range(0, len(bases) - 2, 3)]
        )


def check_code(number: int) -> None:
    """Make sure that a genetic code that was asked for exists.

    Raises:
        UsageError: NCBI has no table of this number.
    """
    from Bio.Data import CodonTable

    if number not in CodonTable.unambiguous_dna_by_id:
        raise UsageError(f"--genetic-code {number}: choose one of {_known()}")


def _known() -> str:
    from Bio.Data import CodonTable

    return ", ".join(map(str, sorted(CodonTable.unambiguous_dna_by_id)))


@cache
def genetic_code(number: int) -> GeneticCode:
    """Return a genetic code by NCBI's number, each made once.

    Raises:
        InputError: There is no such table.
    """
    return GeneticCode(number)


def code_of_contig(name: str, default: int) -> int:
    """Return the number of the code of a contig whose annotation does not say.

    Args:
        name: ``M``, ``MT`` (vertebrates, 2), ``Mito`` (yeast, 3) and ``mitochondrion_genome``
            (flies, 5) are mitochondria, with or without ``chr`` in front.
        default: That of all other contigs.
    """
    return MITOCHONDRIAL.get(name.removeprefix("chr"), default)
