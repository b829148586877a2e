"""Write scored records in the format that the output's name asks for, whole or not at all."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from genolm.atomic import replace_when_done
from genolm.console import warn
from genolm.errors import UsageError
from genolm.genome.vcf import ENCODING, ERRORS, VcfRecord, pos_from_start
from genolm.scoring.fields import SKIP, Result, ScoreField
from genolm.scoring.tables import (
    TABLE_SUFFIXES,
    Column,
    Value,
    check_place,
    check_table,
    open_table,
    table_suffix,
)
from genolm.scoring.vcf_output import Provenance, annotate_header, annotate_line, info_entry

WriteRecord = Callable[[VcfRecord, Sequence[Result]], None]

SUFFIXES: Final = (".vcf", ".vcf.gz", ".vcf.bgz", ".bcf", *TABLE_SUFFIXES)


@dataclass
class Annotation:
    """What stands over the records of an output, and how a record becomes a line of it.

    Attributes:
        fields: The score fields.
        provenance: Where the scores come from.
        header: The input's ``##`` lines.
        columns: The input's ``#CHROM`` line.
        newline: What ends the header's lines.
    """

    fields: Sequence[ScoreField]
    provenance: Provenance
    header: Sequence[str]
    columns: str
    newline: str
    _warned: bool = field(default=False, init=False)

    def header_lines(self) -> list[str]:
        """Return the ``##`` lines of the output."""
        lines, replaced = annotate_header(self.header, self.fields, self.provenance)
        self._warn_of(replaced)
        return lines

    def encode_header(self, lines: Sequence[str]) -> bytes:
        """Return the header as bytes, the ``#CHROM`` line included."""
        whole = "".join(f"{line}{self.newline}" for line in (*lines, self.columns))
        return whole.encode(ENCODING, ERRORS)

    def encode_record(self, record: VcfRecord, results: Sequence[Result]) -> bytes:
        """Return an annotated record as bytes, with the line end that it had."""
        line, replaced = annotate_line(record.line, info_entry(self.fields, results))
        self._warn_of(replaced)
        return f"{line}{record.newline}".encode(ENCODING, ERRORS)

    def _warn_of(self, replaced: bool) -> None:
        if replaced and not self._warned:
            self._warned = True
            warn("the input was scored before; the GENOLM_ fields of that run are replaced")


def check_output(path: str) -> None:
    """Make sure that an output can be written before any work is done for it.

    Raises:
        UsageError: The name tells no format, its folder is missing, or a library is.
    """
    if path == "-":
        return
    if not path.lower().endswith(SUFFIXES):
        raise UsageError(f"{path}: an output's name ends in one of {' '.join(SUFFIXES)}")
    check_place(path)
    if table_suffix(path) is not None:
        check_table(path)


def open_writer(path: str, annotation: Annotation) -> AbstractContextManager[WriteRecord]:
    """Open an output; it takes its name when the block has succeeded.

    Args:
        path: Ends in one of ``SUFFIXES``; "-" is VCF on stdout.
        annotation: What stands over the records.

    Returns:
        A context manager; it gives a function that writes one record with its results.
    """
    name = path.lower()
    if table_suffix(path) is not None:
        return _table(path, annotation)
    if name.endswith(".bcf"):
        from genolm.scoring.bcf_output import open_bcf

        return open_bcf(path, annotation)
    if name.endswith((".gz", ".bgz")):
        from genolm.scoring.bgzip_output import open_bgzip

        return open_bgzip(path, annotation)
    return _text(path, annotation)


@contextmanager
def _text(path: str, annotation: Annotation) -> Iterator[WriteRecord]:
    if path == "-":
        yield _lines(sys.stdout.buffer, annotation)
        sys.stdout.buffer.flush()
        return
    with replace_when_done(path) as partial, partial.open("wb") as stream:
        yield _lines(stream, annotation)


def _lines(stream: BinaryIO, annotation: Annotation) -> WriteRecord:
    stream.write(annotation.encode_header(annotation.header_lines()))

    def write(record: VcfRecord, results: Sequence[Result]) -> None:
        stream.write(annotation.encode_record(record, results))

    return write


@contextmanager
def _table(path: str, annotation: Annotation) -> Iterator[WriteRecord]:
    columns = [
        Column("chrom", "text"),
        Column("pos", "integer"),
        *(Column(name, "text") for name in ("id", "ref", "alt")),
        *(Column(one.name, "real") for one in annotation.fields),
        Column(SKIP, "text"),
    ]
    metadata = {"genolm": "\n".join(annotation.provenance.lines())}
    with open_table(path, columns, metadata) as write_rows:

        def write(record: VcfRecord, results: Sequence[Result]) -> None:
            write_rows(_rows(record, results, annotation.fields))

        yield write


def _rows(
    record: VcfRecord, results: Sequence[Result], fields: Sequence[ScoreField]
) -> Iterator[list[Value]]:
    identifier = record.line.split("\t", 3)[2]
    pos = pos_from_start(record.start)
    for alt, result in zip(record.alts, results, strict=True):
        reason = result if isinstance(result, str) else "."
        scores = [one.value(result) for one in fields]
        yield [record.chrom, pos, identifier, record.ref, alt, *scores, reason]
