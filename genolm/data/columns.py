"""What a table is to genolm: its columns, their kinds, and the formats that a file's name tells."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

from genolm.errors import UsageError

Value = str | int | float | bool | None
Kind = Literal["text", "integer", "real", "truth"]
Row = Sequence[Value]

DELIMITERS: Final = {".tsv": "\t", ".tsv.gz": "\t", ".csv": ",", ".csv.gz": ","}
TABLE_SUFFIXES: Final = (*DELIMITERS, ".parquet")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its heading.
        kind: What its values are; any may be missing (None).
        stored: The Arrow type that Parquet keeps them in, where it is not the kind's usual one.
    """

    name: str
    kind: Kind
    stored: Any = None


def table_suffix(path: str | Path) -> str | None:
    """Return which of the table formats a file's name asks for, None if none."""
    name = Path(path).name.lower()
    return next((suffix for suffix in TABLE_SUFFIXES if name.endswith(suffix)), None)


def require_pyarrow(path: str | Path) -> None:
    """Make sure that Parquet can be read and written.

    Raises:
        UsageError: pyarrow is not installed.
    """
    if find_spec("pyarrow") is None:
        raise UsageError(f"{path}: Parquet needs pyarrow: pip install 'genolm[tracks]'")
