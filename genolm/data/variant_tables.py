"""Tables of variants: a row is a record, and comes out again with all its cells."""

import csv
import io
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from genolm.data.columns import DELIMITERS, Column, Kind, require_pyarrow, table_suffix
from genolm.errors import InputError
from genolm.genome.compression import DamagedInputError, open_decompressed, require_file
from genolm.genome.vcf import VcfRecord, start_from_pos

SYNONYMS: Final = {
    "chrom": ("chrom", "#chrom", "chr", "chromosome"),
    "pos": ("pos", "position"),
    "ref": ("ref",),
    "alt": ("alt",),
}
BATCH_ROWS: Final = 4096
_POS: Final = re.compile(r"[0-9]{1,18}")
_WORD: Final = re.compile(r"\S+")
_ID: Final = "id"

Cells = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class VariantTable:
    """A table with the columns chrom, pos (1-based), ref and alt, in any order and case.

    Attributes:
        path: TSV, CSV (either may be gzipped) or Parquet, as its name tells.
        columns: All of its columns.
        places: Where chrom, pos, ref and alt stand among them.
        id_place: Where the identifier stands, None where there is none.
    """

    path: str
    columns: tuple[Column, ...]
    places: tuple[int, int, int, int]
    id_place: int | None

    def records(self) -> Iterator[VcfRecord]:
        """Read the rows from the first to the last, each a minimal VCF record with its cells.

        Raises:
            InputError: A cell is not what its column asks for; file, row and column are named.
        """
        for number, cells in _rows(self.path, self.columns):
            yield self._record(number, cells)

    def place(self, number: int) -> str:
        """Return how messages call a row."""
        by_row = table_suffix(self.path) == ".parquet"
        return f"{self.path}: row {number}" if by_row else f"{self.path}:{number}"

    def has_several_alts(self) -> bool:
        """Read through the rows once and say whether one has several ALT alleles."""
        place = self.places[3]
        return any("," in str(cells[place]) for _, cells in _rows(self.path, self.columns))

    def _record(self, number: int, cells: Cells) -> VcfRecord:
        chrom, ref, alt = (self._word(number, cells, self.places[i]) for i in (0, 2, 3))
        pos = _whole_number(cells[self.places[1]])
        if pos is None:
            heading = self.columns[self.places[1]].name
            raise InputError(
                f"{self.place(number)}: column {heading} holds {cells[self.places[1]]!r}; write the"
                " position as a whole number, 1 for the first base"
            )
        identifier = "." if self.id_place is None else str(cells[self.id_place] or ".").strip()
        if not _WORD.fullmatch(identifier):
            identifier = "."
        return VcfRecord(
            line=f"{chrom}\t{pos}\t{identifier}\t{ref}\t{alt}\t.\t.\t.",
            newline="\n",
            number=number,
            chrom=chrom,
            start=start_from_pos(pos),
            ref=ref,
            alts=tuple(alt.split(",")),
            info=".",
            cells=cells,
        )

    def _word(self, number: int, cells: Cells, place: int) -> str:
        value = cells[place]
        text = "" if value is None else str(value).strip()
        if not _WORD.fullmatch(text):
            fix = "no allele is written '.'" if place in self.places[2:] else "name a contig"
            raise InputError(
                f"{self.place(number)}: column {self.columns[place].name} holds {value!r}; {fix}"
            )
        return text


def read_headings(path: str) -> list[str]:
    """Return the names of the columns of a table.

    Raises:
        UsageError: There is no such file, or Parquet cannot be read here.
        InputError: It is no table.
    """
    require_file(path)
    return [column.name for column in _columns(path)]


def open_variant_table(path: str, chrom: str | None = None) -> VariantTable:
    """Open a table of variants and find its columns.

    Args:
        path: The file.
        chrom: Column with the contig, where it has no usual name.

    Raises:
        UsageError: There is no such file, or Parquet cannot be read here.
        InputError: It is no table, or a column is missing.
    """
    require_file(path)
    columns = _columns(path)
    headings = [column.name.strip().lower() for column in columns]
    if chrom is not None and headings.count(chrom.strip().lower()) != 1:
        raise InputError(f"{path}:1: not one column {chrom!r}; there are {', '.join(headings)}")
    places = (
        _place(path, headings, "chrom") if chrom is None else headings.index(chrom.strip().lower()),
        _place(path, headings, "pos"),
        _place(path, headings, "ref"),
        _place(path, headings, "alt"),
    )
    id_place = headings.index(_ID) if _ID in headings else None
    return VariantTable(path, columns, places, id_place)


def _place(path: str, headings: Sequence[str], wanted: str) -> int:
    for name in SYNONYMS[wanted]:
        if headings.count(name) > 1:
            raise InputError(f"{path}:1: two columns are called {name}; rename one of them")
        if name in headings:
            return headings.index(name)
    also = f" (or {', '.join(SYNONYMS[wanted][1:])})" if SYNONYMS[wanted][1:] else ""
    raise InputError(
        f"{path}:1: no column {wanted}{also}; a table of variants has chrom, pos, ref and alt,"
        f" this one has {', '.join(headings)}"
    )


def _whole_number(value: Any) -> int | None:
    if isinstance(value, float) and value.is_integer():  # of a Parquet column with gaps
        value = int(value)
    text = str(value).strip()
    return int(text) if _POS.fullmatch(text) else None


def _columns(path: str) -> tuple[Column, ...]:
    if table_suffix(path) == ".parquet":
        schema = _open_parquet(path).schema_arrow
        return tuple(Column(one.name, _kind(one.type), one.type) for one in schema)
    with _text(path) as lines:
        header: list[str] = next(_csv(path, lines), [])
    if not any(header):
        raise InputError(f"{path} is empty; a table of variants begins with chrom, pos, ref, alt")
    kinds: dict[str, Kind] = dict.fromkeys(SYNONYMS["pos"], "integer")
    return tuple(Column(name, kinds.get(name.strip().lower(), "text")) for name in header)


def _rows(path: str, columns: Sequence[Column]) -> Iterator[tuple[int, Cells]]:
    if table_suffix(path) == ".parquet":
        return _parquet_rows(path)
    return _text_rows(path, len(columns))


def _text_rows(path: str, width: int) -> Iterator[tuple[int, Cells]]:
    number = 0
    try:
        with _text(path) as lines:
            reader = _csv(path, lines)
            next(reader)
            for cells in reader:
                number = reader.line_num
                if not cells:
                    continue
                if len(cells) != width:
                    raise InputError(
                        f"{path}:{number}: {len(cells)} cells where the header has {width}"
                    )
                yield number, tuple(cells)
    except csv.Error as error:
        raise InputError(f"{path}:{number + 1}: {error}") from error
    except DamagedInputError as error:
        raise InputError(f"{error}; {max(0, number - 1):,} rows were read before that") from error


def _text(path: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(open_decompressed(path), "utf-8-sig", "surrogateescape", newline="")


def _csv(path: str, lines: io.TextIOWrapper) -> Any:
    csv.field_size_limit(sys.maxsize)
    return csv.reader(lines, delimiter=DELIMITERS[table_suffix(path) or ".tsv"])


def _open_parquet(path: str) -> Any:
    require_pyarrow(path)
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a readable Parquet file ({error})") from None


def _parquet_rows(path: str) -> Iterator[tuple[int, Cells]]:
    import pyarrow as pa

    file = _open_parquet(path)
    number = 0
    try:
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                number += 1
                yield number, cells
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: damaged after row {number:,} ({error})") from None


def _kind(stored: Any) -> Kind:
    from pyarrow import types

    if types.is_integer(stored):
        return "integer"
    if types.is_floating(stored):
        return "real"
    return "truth" if types.is_boolean(stored) else "text"


def is_variant_table(path: str) -> bool:
    """Say whether an input's name is that of a table."""
    return path != "-" and table_suffix(path) is not None
