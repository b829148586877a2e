"""The libraries that read spans of an indexed FASTA file."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from genolm.errors import InputError
from genolm.genome.random_access import read_gzi


class SequenceReader(Protocol):
    """An open FASTA file; not to be shared between processes or threads."""

    def fetch(self, chrom: str, start: int, end: int) -> str:
        """Return bases ``start`` to ``end`` (0-based, half-open) as they stand in the file."""

    def close(self) -> None:
        """Close the file."""


class PysamReader:
    """FASTA through htslib: the fast one."""

    def __init__(self, path: Path, fai: Path, gzi: Path | None) -> None:
        import pysam

        self._path = path
        self._file: Any = pysam.FastaFile(
            str(path), filepath_index=str(fai), filepath_index_compressed=str(gzi) if gzi else None
        )

    def fetch(self, chrom: str, start: int, end: int) -> str:
        """Return bases ``start`` to ``end`` (0-based, half-open) as they stand in the file."""
        try:
            sequence: str = self._file.fetch(chrom, start, end)
        except ValueError as error:  # UnicodeDecodeError is one
            raise _unreadable(self._path, chrom, start, end) from error
        return sequence

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@dataclass(frozen=True, slots=True)
class _Block:
    """A bgzip block as pyfaidx looks it up, by bisection.

    Its own blocks compare by ``<``, so that a span that begins where a block begins is sought at
    the end of the block before; Bio.bgzf cannot express that place when the block holds 64 KiB.
    """

    cstart: int
    ustart: int

    def __lt__(self, offset: int) -> bool:
        return self.ustart <= offset


class PyfaidxReader:
    """FASTA in pure Python, for systems without pysam; bgzip goes through Bio.bgzf."""

    def __init__(self, path: Path, fai: Path, gzi: Path | None) -> None:
        import pyfaidx

        goes_by_name = path.name.lower().endswith((".gz", ".bgz"))
        if goes_by_name != (gzi is not None):
            wanted = "end" if gzi else "not end"
            raise InputError(
                f"{path}: pyfaidx goes by the name, which must {wanted} in .gz; rename the file"
            )
        self._path = path
        self._file: Any = pyfaidx.Faidx(
            str(path),
            indexname=str(fai),
            gzi_indexname=str(gzi) if gzi else None,
            as_raw=True,
            rebuild=False,
        )
        if gzi:
            self._file.gzi_index = [_Block(*block) for block in read_gzi(gzi)]

    def fetch(self, chrom: str, start: int, end: int) -> str:
        """Return bases ``start`` to ``end`` (0-based, half-open) as they stand in the file."""
        try:
            sequence: str = self._file.fetch(chrom, start + 1, end)
        except ValueError as error:  # UnicodeDecodeError is one
            raise _unreadable(self._path, chrom, start, end) from error
        return sequence

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _unreadable(path: Path, chrom: str, start: int, end: int) -> InputError:
    return InputError(
        f"{path}: {chrom}:{start}-{end} cannot be read; the file holds bytes that are no sequence, "
        "or changed after it was opened"
    )


READERS: dict[str, Callable[[Path, Path, Path | None], SequenceReader]] = {
    "pysam": PysamReader,
    "pyfaidx": PyfaidxReader,
}


def choose_reader(name: str | None) -> str:
    """Return the reader to use: the one named, or the first that is installed.

    Raises:
        ValueError: The one named is unknown or not installed, or none is installed.
    """
    installed = [known for known in READERS if importlib.util.find_spec(known)]
    if name is not None and name not in READERS:
        raise ValueError(f"unknown FASTA reader {name!r}; there are {', '.join(READERS)}")
    if not installed or (name and name not in installed):
        wanted = name or "pysam"
        raise ValueError(f"{wanted} is not installed: pip install {wanted}")
    return name or installed[0]
