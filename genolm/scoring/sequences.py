"""Sequences to predict on, row by row with the columns they came with.

FASTA, CSV, TSV and Parquet are told apart by the end of the file's name; BED takes its bases from
a reference FASTA. Text files may be gzipped.
"""

import csv
import io
import itertools
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from genolm.data.columns import Column, Kind, Value, require_pyarrow
from genolm.errors import InputError, UsageError
from genolm.genome.bed import read_bed
from genolm.genome.compression import open_decompressed, require_file, source_name
from genolm.genome.fasta import Fasta
from genolm.genome.sequence import reverse_complement
from genolm.tokenization.encode import encode

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS: Final = 1024

_COMPRESSED: Final = (".gz", ".bgz")
_FASTA: Final = (".fa", ".fasta", ".fna", ".ffn", ".fas")
_DELIMITERS: Final = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": "\t"}


@dataclass(frozen=True, slots=True)
class Row:
    """One sequence.

    Attributes:
        source: File and place, for messages.
        values: What the input says of it, one value per column.
        sequence: Its bases.
    """

    source: str
    values: tuple[Value, ...]
    sequence: str


@dataclass(frozen=True, slots=True)
class SequenceTable:
    """Sequences in order, read as they are asked for.

    Attributes:
        columns: What ``Row.values`` holds.
        rows: The sequences; can be gone through once.
    """

    columns: tuple[Column, ...]
    rows: Iterator[Row]


def read_sequences(
    path: str | Path, *, column: str = "sequence", fasta: str | Path | None = None
) -> SequenceTable:
    """Open a file of sequences.

    Args:
        path: FASTA, CSV, TSV, Parquet or BED, or "-" for FASTA on standard input.
        column: The column of a table that holds the bases.
        fasta: The genome that the intervals of a BED refer to.

    Raises:
        UsageError: A missing file, an unknown kind of file, a BED without a genome.
        InputError: A column is missing; later, from the rows: an empty sequence, a ragged row.
    """
    suffix = _suffix(path)
    if suffix == ".bed":
        if fasta is None:
            raise UsageError(f"{path}: intervals need the genome they refer to (--reference FASTA)")
        return _with_bases(_read_bed(path, fasta))
    if fasta is not None:
        raise UsageError(f"--reference goes with a BED; {path} holds its own sequences")
    if suffix in _DELIMITERS:
        return _with_bases(_read_delimited(path, column, _DELIMITERS[suffix]))
    if suffix == ".parquet":
        return _with_bases(_read_parquet(path, column))
    return _with_bases(SequenceTable((Column("name", "text"),), _read_fasta(path)))


def _suffix(path: str | Path) -> str:
    if str(path) == "-":
        return _FASTA[0]
    suffixes = [suffix.lower() for suffix in require_file(path).suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    known = (*_FASTA, *_DELIMITERS, ".parquet", ".bed")
    if suffix not in known:
        raise UsageError(f"{path}: the name tells no known format; known are {' '.join(known)}")
    return suffix


def _with_bases(table: SequenceTable) -> SequenceTable:
    return SequenceTable(table.columns, map(_require_bases, table.rows))


def _require_bases(row: Row) -> Row:
    if not row.sequence:
        raise InputError(f"{row.source}: the sequence is empty")
    encode(row.sequence, source=row.source)  # so that a stranger among the bases has its place
    return row


def _text(path: str | Path) -> io.TextIOWrapper:
    return io.TextIOWrapper(open_decompressed(path), encoding="utf-8-sig", newline="")


def _read_fasta(path: str | Path) -> Iterator[Row]:
    source = source_name(path)
    name: str | None = None
    place = ""
    pieces: list[str] = []
    with _text(path) as lines:
        for number, raw in enumerate(lines, start=1):
            line = raw.strip()
            if not line.startswith(">"):
                pieces.append(line)
                if name is None and line:
                    raise InputError(f"{source}:{number}: a FASTA begins with a line like >name")
                continue
            if name is not None:
                yield Row(place, (name,), "".join(pieces))
            name, place, pieces = line[1:], f"{source}:{number}: {line}", []
    if name is None:
        raise InputError(f"{source}: no sequence in this FASTA")
    yield Row(place, (name,), "".join(pieces))


def _read_bed(path: str | Path, fasta: str | Path) -> SequenceTable:
    genome = Fasta(fasta)
    intervals = read_bed(path, contigs=genome.contigs)
    columns = (
        Column("chrom", "text"),
        Column("start", "integer"),
        Column("end", "integer"),
        Column("name", "text"),
        Column("strand", "text"),
    )

    def rows() -> Iterator[Row]:
        for i in intervals:
            bases = genome.fetch(i.chrom, i.start, i.end)
            sequence = reverse_complement(bases) if i.strand == "-" else bases
            values = (i.chrom, i.start, i.end, i.name or ".", i.strand)
            yield Row(f"{fasta}: {i.chrom}:{i.start}-{i.end}", values, sequence)

    return SequenceTable(columns, rows())


def _read_delimited(path: str | Path, column: str, delimiter: str) -> SequenceTable:
    csv.field_size_limit(sys.maxsize)  # the default is shorter than many a sequence
    reader = csv.reader(_text(path), delimiter=delimiter)
    header = next(reader, [])
    if not header:
        raise InputError(f"{path}: empty; a table begins with a line of column names")
    place = _column(path, header, column)

    def rows() -> Iterator[Row]:
        for values in reader:
            if not values:
                continue
            source = f"{path}:{reader.line_num}"
            if len(values) != len(header):
                raise InputError(
                    f"{source}: {len(values)} cells where the header has {len(header)}"
                )
            yield Row(source, tuple(values), values[place].strip())

    return SequenceTable(tuple(Column(name, "text") for name in header), rows())


def _read_parquet(path: str | Path, column: str) -> SequenceTable:
    require_pyarrow(path)
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
    except pa.ArrowException as error:
        raise InputError(f"{path}: not a readable Parquet file ({error})") from None
    place = _column(path, file.schema_arrow.names, column)
    columns = tuple(Column(one.name, _kind(one.type)) for one in file.schema_arrow)

    def rows() -> Iterator[Row]:
        numbers = itertools.count(1)
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            lists = [_values(one, c) for one, c in zip(batch.columns, columns, strict=True)]
            for values in zip(*lists, strict=True):
                sequence = str(values[place] or "").strip()
                yield Row(f"{path}: row {next(numbers)}", values, sequence)

    return SequenceTable(columns, rows())


def _kind(stored: "pa.DataType") -> Kind:
    from pyarrow import types

    if types.is_integer(stored):
        return "integer"
    if types.is_floating(stored):
        return "real"
    return "truth" if types.is_boolean(stored) else "text"


def _values(array: "pa.Array", column: Column) -> list[Value]:
    values: list[Value] = array.to_pylist()
    if column.kind != "text":
        return values
    return [None if value is None else str(value) for value in values]


def _column(path: str | Path, header: list[str], column: str) -> int:
    if column not in header:
        raise InputError(
            f"{path}: no column {column!r}; there are {', '.join(header)} (choose with --sequence)"
        )
    return header.index(column)


def chunks(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """Yield the rows ``size`` at a time."""
    remaining = iter(rows)
    while chunk := list(itertools.islice(remaining, size)):
        yield chunk
