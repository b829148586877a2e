"""Scored records as rows: one for every allele, or, where a table came in, one for every record."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from genolm.data.columns import Column, Row, table_suffix
from genolm.data.variant_tables import VariantTable
from genolm.genome.vcf import VcfRecord, pos_from_start
from genolm.scoring.fields import PREFIX, SKIP, Result, ScoreField
from genolm.scoring.shards import BLOCK_COLUMN, BLOCK_MARK, END_MARK, Shard
from genolm.scoring.tables import MISSING, WriteRows, open_table
from genolm.scoring.writers import Annotation, WriteRecord

RowsOf = Callable[[VcfRecord, Sequence[Result]], Iterable[Row]]

_LONG: Final = (
    Column("chrom", "text"),
    Column("pos", "integer"),
    *(Column(name, "text") for name in ("id", "ref", "alt")),
)


@contextmanager
def open_rows(path: str, annotation: Annotation) -> Iterator[WriteRecord]:
    """Open a table for writing; it takes its name when the block has succeeded.

    Args:
        path: Ends in one of ``TABLE_SUFFIXES``; "-" is TSV on stdout.
        annotation: What stands over the records.

    Yields:
        A function that writes one record with its results.
    """
    columns, rows_of = _layout(path, annotation)
    shard = annotation.provenance.shard
    lines = annotation.provenance.lines()
    preamble = "".join(f"{line}\n" for line in lines) if shard else ""
    is_parquet = table_suffix(path) == ".parquet"
    if shard and is_parquet:
        columns = [*columns, Column(BLOCK_COLUMN, "integer")]
    with open_table(path, columns, {"genolm": "\n".join(lines)}, preamble) as write_rows:
        if shard is None:
            yield lambda record, results: write_rows(rows_of(record, results))
        else:
            yield _in_blocks(write_rows, rows_of, shard, is_parquet)
            if not is_parquet:
                write_rows([[END_MARK]])


def _layout(path: str, annotation: Annotation) -> tuple[list[Column], RowsOf]:
    fields = annotation.fields
    if annotation.table is not None:
        return _wide_layout(path, annotation, annotation.table)
    columns = [*_LONG, *(Column(one.name, one.kind) for one in fields), Column(SKIP, "text")]
    return columns, lambda record, results: _long_rows(record, results, fields)


def _in_blocks(write: WriteRows, rows_of: RowsOf, shard: Shard, is_parquet: bool) -> WriteRecord:
    """Mark where blocks begin, so that they can be joined again though records differ in rows."""
    written = 0

    def write_record(record: VcfRecord, results: Sequence[Result]) -> None:
        nonlocal written
        number, place = divmod(written, shard.block)
        written += 1
        if is_parquet:
            write([*row, number] for row in rows_of(record, results))
            return
        if place == 0:
            write([[BLOCK_MARK]])
        write(rows_of(record, results))

    return write_record


def _long_rows(
    record: VcfRecord, results: Sequence[Result], fields: Sequence[ScoreField]
) -> Iterator[Row]:
    identifier = record.line.split("\t", 3)[2]
    pos = pos_from_start(record.start)
    for alt, result in zip(record.alts, results, strict=True):
        reason = result if isinstance(result, str) else "."
        scores = [one.cell(result) for one in fields]
        yield [record.chrom, pos, identifier, record.ref, alt, *scores, reason]


def _wide_layout(
    path: str, annotation: Annotation, table: VariantTable
) -> tuple[list[Column], RowsOf]:
    kept = [i for i, one in enumerate(table.columns) if not one.name.startswith(PREFIX)]
    annotation.warn_of(replaced=len(kept) < len(table.columns))
    in_parquet = table_suffix(path) == ".parquet"
    # A Parquet column has one type: numbers, unless a row has several to hold.
    as_text = in_parquet and table.has_several_alts()
    columns = [
        *(table.columns[i] for i in kept),
        *(Column(one.name, "text" if as_text else one.kind) for one in annotation.fields),
        Column(SKIP, "text"),
    ]
    to_cell = _to_parquet if in_parquet else _to_text

    def rows_of(record: VcfRecord, results: Sequence[Result]) -> Iterator[Row]:
        cells = [to_cell(record.cells[i], table.columns[i]) for i in kept]
        scores = [_joined(one, results, as_text) for one in annotation.fields]
        reasons = ",".join(result if isinstance(result, str) else "." for result in results)
        yield [*cells, *scores, reasons]

    return columns, rows_of


def _joined(field: ScoreField, results: Sequence[Result], as_text: bool) -> float | str | None:
    if len(results) == 1 and (not as_text or field.cell(results[0]) is None):
        return field.cell(results[0])
    return ",".join(MISSING if text is None else text for text in map(field.text, results))


def _to_parquet(value: Any, column: Column) -> Any:
    return int(value) if column.kind == "integer" and isinstance(value, str) else value


def _to_text(value: Any, column: Column) -> Any:
    return repr(value) if isinstance(value, float) else value
