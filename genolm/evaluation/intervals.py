"""Labelled intervals and genomes to labelled sequences.

GenomicBenchmarks distributes intervals: one table for each class, ``id,region,start,end,strand``,
0-based and half-open; the bases come from a genome of one's own. A table of intervals may also have
a ``label`` column, or columns of 0 and 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from genolm.data.labelled import names_of_ones
from genolm.data.labelled_set import LabelledSet
from genolm.data.table import Columns, column_names, read_columns
from genolm.errors import InputError, UsageError
from genolm.genome.aliases import ContigResolver
from genolm.genome.fasta import Fasta
from genolm.genome.sequence import reverse_complement

REGION_NAMES: Final = ("region", "chrom", "chr")
IDS: Final = ("id", "name")


@dataclass(frozen=True)
class _Genome:
    """A FASTA, and the one class whose intervals lie on it; None for any."""

    owner: str | None
    fasta: Fasta
    contigs: ContigResolver


class Genomes:
    """The genomes of ``--reference``, each of any class or of one.

    Args:
        named: ``FASTA`` or ``CLASS=FASTA`` each, as on the command line.

    Raises:
        UsageError: A file is not there.
        InputError: A file is no FASTA that can be read by position.
    """

    def __init__(self, named: Sequence[str] = ()) -> None:
        self._genomes: list[_Genome] = []
        for text in named:
            owner, equals, path = text.rpartition("=")
            fasta = Fasta(path)
            resolver = ContigResolver(fasta.contigs)
            self._genomes.append(_Genome(owner if equals else None, fasta, resolver))

    @property
    def paths(self) -> list[Path]:
        """The files."""
        return [genome.fasta.path for genome in self._genomes]

    def fetch(self, label: str, region: str, span: tuple[int, int], strand: str, place: str) -> str:
        """Return the bases of an interval, reverse-complemented for ``-``.

        Args:
            label: The class it belongs to.
            region: Contig, by any usual name.
            span: Start and end, 0-based and half-open.
            strand: ``+``, ``-`` or ``.``.
            place: ``file:line``, for messages.

        Raises:
            UsageError: No genome was given.
            InputError: No genome of the class has the contig, or it is too short.
        """
        start, end = span
        for genome in self._of(label):
            contig = genome.contigs.resolve(region)
            if contig is None:
                continue
            length = genome.fasta.contigs[contig]
            if not 0 <= start < end <= length:
                raise InputError(
                    f"{place}: {region}:{start}-{end} does not lie on {contig} of"
                    f" {genome.fasta.name}, which has {length:,} bases; another genome build?"
                )
            bases = genome.fasta.fetch(contig, start, end)
            return reverse_complement(bases) if strand == "-" else bases
        if not self._genomes:
            raise UsageError(
                f"{place}: intervals need the genome they lie on; give it with --reference"
            )
        names = ", ".join(path.name for path in self.paths)
        raise InputError(
            f"{place}: no genome has {region!r} of class {label!r} (given: {names}); add its FASTA"
            f" as --reference FASTA or --reference {label}=FASTA"
        )

    def _of(self, label: str) -> list[_Genome]:
        own = [genome for genome in self._genomes if genome.owner == label]
        return own or [genome for genome in self._genomes if genome.owner is None]


def region_column(columns: Sequence[str]) -> str | None:
    """Return the column with the contig, when a table holds intervals and no sequences."""
    if "sequence" in columns or not {"start", "end"} <= set(columns):
        return None
    return next((name for name in REGION_NAMES if name in columns), None)


def read_interval_table(
    path: Path, genomes: Genomes, *, owner: str | None = None, label: str | Sequence[str] = "label"
) -> LabelledSet:
    """Read a table of intervals with the bases that lie there.

    Args:
        path: The table.
        genomes: Where the bases are.
        owner: The class of every row; None where columns say.
        label: The column with the class, or several of 0 and 1; not used with ``owner``.

    Raises:
        UsageError: As :meth:`Genomes.fetch`.
        InputError: Likewise, or a number or strand is none.
    """
    known = column_names(path)
    region = region_column(known)
    assert region is not None
    names = [] if owner is not None else [label] if isinstance(label, str) else list(label)
    places = [region, "start", "end"] + ["strand"] * ("strand" in known)
    table = read_columns(path, [*places, *names])
    said = table.values[len(places) :]
    many = owner is None and not isinstance(label, str)
    if owner is not None:
        labels = [owner] * len(table.lines)
    else:
        labels = names_of_ones(path, names, said, table.lines) if many else said[0]
    strands = table.values[3] if len(places) == 4 else ["+"] * len(table.lines)
    sequences = [
        _fetch(genomes, table, row, strands[row], labels[row], f"{path}:{line}")
        for row, line in enumerate(table.lines)
    ]
    files = [str(path)] * len(sequences)
    return LabelledSet(
        str(path), sequences, labels, files, table.lines, label_names=tuple(names) if many else ()
    )


def _fetch(genomes: Genomes, table: Columns, row: int, strand: str, label: str, place: str) -> str:
    if strand not in ("+", "-", "."):
        raise InputError(f"{place}: strand {strand!r}; write +, - or .")
    span = (_position(table.values[1][row], place), _position(table.values[2][row], place))
    return genomes.fetch(label, table.values[0][row], span, strand, place)


def _position(text: str, place: str) -> int:
    if not text.removeprefix("-").isdecimal():
        raise InputError(f"{place}: {text!r} is no position; start and end are whole numbers")
    return int(text)


def repeated_ids(path: Path) -> list[str]:
    """Return a sentence about ids that stand twice in a table, if any do."""
    name = next((name for name in IDS if name in column_names(path)), None)
    if name is None:
        return []
    table = read_columns(path, [name])
    lines: dict[str, int] = {}
    again = [
        (line, value)
        for line, value in zip(table.lines, table.values[0], strict=True)
        if value and lines.setdefault(value, line) != line
    ]
    return describe_repeated(path, name, again)


def describe_repeated(path: Path, name: str, again: Sequence[tuple[int, str]]) -> list[str]:
    """Say which names stand twice, if any do.

    Args:
        path: The file.
        name: What the column or field is called.
        again: Line and value of every repetition.
    """
    if not again:
        return []
    line, value = again[0]
    return [f"{path}:{line}: the {name} {value!r} stands twice ({len(again):,} rows repeat one)"]
