"""Write tables row by row: TSV, CSV and Parquet, whole or not at all."""

import csv
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from genolm.atomic import replace_when_done
from genolm.data.columns import (
    DELIMITERS,
    TABLE_SUFFIXES,
    Column,
    Row,
    Value,
    require_pyarrow,
    table_suffix,
)
from genolm.errors import UsageError
from genolm.genome.bgzip import BgzipWriter

WriteRows = Callable[[Iterable[Row]], None]

MISSING: Final = "NA"
ROW_GROUP: Final = 1 << 16


def check_table(path: str | Path) -> str:
    """Make sure that a table can be written before any work is done for it.

    Returns:
        Its format, one of ``TABLE_SUFFIXES``.

    Raises:
        UsageError: The name tells no table format, its folder is missing, or pyarrow is.
    """
    if str(path) == "-":
        return ".tsv"
    suffix = table_suffix(path)
    if suffix is None:
        raise UsageError(f"{path}: a table's name ends in one of {' '.join(TABLE_SUFFIXES)}")
    check_place(path)
    if suffix == ".parquet":
        require_pyarrow(path)
    return suffix


def check_place(path: str | Path) -> None:
    """Make sure that a file can stand where its name says.

    Raises:
        UsageError: There is a folder of that name, or no folder to put it in.
    """
    if Path(path).is_dir():
        raise UsageError(f"{path} is a folder; name a file in it")
    if not Path(path).absolute().parent.is_dir():
        raise UsageError(f"{path}: its folder does not exist")


@contextmanager
def open_table(
    path: str | Path,
    columns: Sequence[Column],
    metadata: Mapping[str, str] | None = None,
    preamble: str = "",
) -> Iterator[WriteRows]:
    """Open a table for writing; it takes its name when the block has succeeded.

    Args:
        path: Ends in .tsv, .csv (or either with .gz) or .parquet; "-" is TSV on stdout.
        columns: The columns, in order.
        metadata: Provenance; kept in Parquet, where it breaks no reader.
        preamble: What stands before the headings of TSV and CSV.

    Yields:
        A function that writes rows.

    Raises:
        UsageError: The name tells no table format, or pyarrow is missing.
    """
    suffix = check_table(path)
    if suffix == ".parquet":
        with (
            replace_when_done(path) as partial,
            _parquet(partial, columns, metadata or {}) as write,
        ):
            yield write
        return
    with open_bytes(path) as stream:
        text = io.TextIOWrapper(stream, "utf-8", "surrogateescape", newline="")
        text.write(preamble)
        writer = csv.writer(text, delimiter=DELIMITERS[suffix], lineterminator="\n")
        writer.writerow([column.name for column in columns])
        yield lambda rows: writer.writerows(map(_texts, rows))
        text.flush()
        text.detach()


@contextmanager
def open_bytes(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file for writing; it takes its name when the block has succeeded.

    Args:
        path: Its name; gzipped where that ends in .gz. "-" is standard output.
    """
    if str(path) == "-":
        with standard_output() as out:
            yield out
        return
    with ExitStack() as stack:
        stream: BinaryIO = stack.enter_context(
            stack.enter_context(replace_when_done(path)).open("wb")
        )
        if str(path).lower().endswith(".gz"):
            # No name and no time inside: the same table gives the same bytes.
            packed = BgzipWriter(stream)
            stream = stack.enter_context(packed)  # type: ignore[assignment]  # writes bytes too
        yield stream


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Yield stdout as bytes; what cannot be written is said once, not again at Python's exit."""
    stream = sys.stdout.buffer
    try:
        yield stream
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OSError(error.errno, error.strerror, "standard output") from error


def _texts(row: Row) -> list[str]:
    return [_text(value) for value in row]


def _text(value: Value) -> str:
    if value is None:
        return MISSING
    return f"{value:.9g}" if isinstance(value, float) else str(value)


@contextmanager
def _parquet(
    path: Path, columns: Sequence[Column], metadata: Mapping[str, str]
) -> Iterator[WriteRows]:
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {
        "text": pa.string(),
        "integer": pa.int64(),
        "real": pa.float64(),
        "truth": pa.bool_(),
    }
    fields = [(column.name, column.stored or kinds[column.kind]) for column in columns]
    schema = pa.schema(fields, metadata=dict(metadata))
    waiting: list[Row] = []

    def flush() -> None:
        values = list(zip(*waiting, strict=True)) or [()] * len(columns)
        arrays = [pa.array(v, f.type) for v, f in zip(values, schema, strict=True)]
        writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
        waiting.clear()

    def write(rows: Iterable[Row]) -> None:
        waiting.extend(rows)
        if len(waiting) >= ROW_GROUP:
            flush()

    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        yield write
        flush()
