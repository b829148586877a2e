"""Columns of a CSV, TSV or Parquet file, as text."""

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from genolm.errors import InputError, UsageError
from genolm.genome.compression import open_decompressed, require_file

_DELIMITERS: Final = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": "\t"}
_PARQUET: Final = (".parquet", ".pq")
TABLE_SUFFIXES: Final = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")


@dataclass(frozen=True, slots=True)
class Columns:
    """Some columns of a table.

    Attributes:
        values: The cells of each column, in the order asked for.
        lines: The line (of Parquet: the row, counted from 1) that each row stands on.
    """

    values: list[list[str]]
    lines: list[int]


def _suffix(path: Path) -> str:
    name = path.name.lower()
    for ending in (".gz", ".bgz"):
        name = name.removesuffix(ending)
    return Path(name).suffix


def read_columns(path: str | Path, wanted: Sequence[str]) -> Columns:
    """Read columns of a table; the name says which kind, the content whether it is compressed.

    Args:
        path: A .csv, .tsv or .parquet file; the first two may be gzipped.
        wanted: Names of the columns.

    Raises:
        UsageError: No such file, or a name that does not say what it is.
        InputError: A column is missing (those there are listed), a row is too short, the text is
            not UTF-8 or the file holds no row.
    """
    file = require_file(path)
    suffix = _suffix(file)
    if suffix in _PARQUET:
        columns = _read_parquet(file, wanted)
    elif suffix in _DELIMITERS:
        columns = _read_text(file, wanted, _DELIMITERS[suffix])
    else:
        raise UsageError(
            f"{path}: a table's name ends in .csv, .tsv or .parquet (.csv.gz and .tsv.gz too)"
        )
    if not columns.lines:
        raise InputError(f"{path}: no row below the header")
    return columns


def column_names(path: str | Path) -> list[str]:
    """Return the names of a table's columns; errors as for :func:`read_columns`."""
    file = require_file(path)
    suffix = _suffix(file)
    if suffix in _PARQUET:
        return _parquet_names(file)
    if suffix not in _DELIMITERS:
        raise UsageError(f"{path}: a table's name ends in .csv, .tsv or .parquet")
    _, header = next(_numbered_rows(file, _DELIMITERS[suffix]), (0, []))
    return [name.strip() for name in header]


def _find_columns(path: Path, header: Sequence[str], wanted: Sequence[str]) -> list[int]:
    places: list[int] = []
    for name in wanted:
        found = header.count(name)
        if found != 1:
            known = ", ".join(column[:30] for column in header[:20])
            problem = f"no column {name!r}" if not found else f"{found} columns {name!r}"
            raise InputError(f"{path}:1: {problem}; the columns are {known}")
        places.append(list(header).index(name))
    return places


def _numbered_rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and cells of each row that is not blank."""
    csv.field_size_limit(sys.maxsize)  # the default of 128 kB is shorter than many a sequence
    with io.TextIOWrapper(open_decompressed(path), encoding="utf-8-sig", newline="") as text:
        rows = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            for row in rows:
                if row:
                    yield rows.line_num, row
        except csv.Error as error:
            raise InputError(f"{path}:{rows.line_num}: {error}") from None
        except UnicodeDecodeError:
            raise InputError(f"{path}:{rows.line_num + 1}: not UTF-8 text") from None


def _read_text(path: Path, wanted: Sequence[str], delimiter: str) -> Columns:
    rows = _numbered_rows(path, delimiter)
    _, header = next(rows, (0, []))
    if not header:
        raise InputError(f"{path}: empty; a table begins with a line of column names")
    places = _find_columns(path, [name.strip() for name in header], wanted)
    values: list[list[str]] = [[] for _ in wanted]
    lines: list[int] = []
    for line, row in rows:
        if len(row) != len(header):
            raise InputError(f"{path}:{line}: {len(row)} cells where the header has {len(header)}")
        for column, place in zip(values, places, strict=True):
            column.append(row[place].strip())
        lines.append(line)
    return Columns(values, lines)


@contextmanager
def _opened_parquet(path: Path) -> Iterator[Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise UsageError(
            f"{path}: reading Parquet needs pyarrow: pip install 'genolm[tracks]'"
        ) from None
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except pa.ArrowException as error:
        raise InputError(f"{path}: not a readable Parquet file ({error})") from None


def _parquet_names(path: Path) -> list[str]:
    with _opened_parquet(path) as file:
        return list(file.schema_arrow.names)


def _read_parquet(path: Path, wanted: Sequence[str]) -> Columns:
    with _opened_parquet(path) as file:
        _find_columns(path, file.schema_arrow.names, wanted)
        table = file.read(columns=list(wanted))
    values = [
        ["" if cell is None else str(cell).strip() for cell in table.column(name).to_pylist()]
        for name in wanted
    ]
    return Columns(values, list(range(1, table.num_rows + 1)))
