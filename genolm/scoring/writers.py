"""Write scored records in the format that the output's name asks for, whole or not at all."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import BinaryIO, Final

from genolm.atomic import replace_when_done
from genolm.console import warn
from genolm.data.columns import TABLE_SUFFIXES, table_suffix
from genolm.data.variant_tables import VariantTable
from genolm.errors import UsageError
from genolm.genome.vcf import ENCODING, ERRORS, VcfRecord
from genolm.scoring.fields import Result, ScoreField
from genolm.scoring.tables import check_place, check_table, standard_output
from genolm.scoring.vcf_output import Provenance, annotate_header, annotate_line, info_entry

WriteRecord = Callable[[VcfRecord, Sequence[Result]], None]

VCF_SUFFIXES: Final = (".vcf", ".vcf.gz", ".vcf.bgz", ".bcf")
LINE_SUFFIXES: Final = (".jsonl", ".jsonl.gz", ".bed", ".bedgraph")
BUFFER: Final = 1 << 20  # bytes; every write lets a thread that reads have its turn
SUFFIXES: Final = (*VCF_SUFFIXES, *TABLE_SUFFIXES, *LINE_SUFFIXES)


@dataclass
class Annotation:
    """What stands over the records of an output, and how a record becomes a line of it.

    Attributes:
        fields: The score fields.
        provenance: Where the scores come from.
        header: The input's ``##`` lines.
        columns: The input's ``#CHROM`` line.
        newline: What ends the header's lines.
        table: The table that the records are rows of, None for other inputs.
        tabular: Whether standard output is to be TSV, not VCF.
    """

    fields: Sequence[ScoreField]
    provenance: Provenance
    header: Sequence[str]
    columns: str
    newline: str
    table: VariantTable | None = None
    tabular: bool = False
    _warned: bool = field(default=False, init=False)

    def header_lines(self, records: int | None = None) -> list[str]:
        """Return the ``##`` lines of the output.

        Args:
            records: How many records follow, for the line of a shard.
        """
        provenance = self.provenance
        if provenance.shard is not None:
            provenance = replace(provenance, shard=replace(provenance.shard, records=records))
        lines, replaced = annotate_header(self.header, self.fields, provenance)
        self.warn_of(replaced=replaced)
        return lines

    def encode_header(self, lines: Sequence[str]) -> bytes:
        """Return the header as bytes, the ``#CHROM`` line included."""
        whole = "".join(f"{line}{self.newline}" for line in (*lines, self.columns))
        return whole.encode(ENCODING, ERRORS)

    def encode_record(self, record: VcfRecord, results: Sequence[Result]) -> bytes:
        """Return an annotated record as bytes, with the line end that it had."""
        line, replaced = annotate_line(record.line, info_entry(self.fields, results))
        self.warn_of(replaced=replaced)
        return f"{line}{record.newline}".encode(ENCODING, ERRORS)

    def warn_of(self, *, replaced: bool) -> None:
        """Say once that the scores of an earlier run were taken out."""
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
        path: Ends in one of ``SUFFIXES``; "-" is VCF on stdout, or TSV where the input was none.
        annotation: What stands over the records.

    Returns:
        A context manager; it gives a function that writes one record with its results.
    """
    name = path.lower()
    if table_suffix(path) is not None or (path == "-" and annotation.tabular):
        from genolm.scoring.table_output import open_rows

        return open_rows(path, annotation)
    if name.endswith(LINE_SUFFIXES):
        return _open_lines(path, annotation)
    if name.endswith(".bcf"):
        from genolm.scoring.bcf_output import open_bcf

        return open_bcf(path, annotation)
    if name.endswith((".gz", ".bgz")):
        from genolm.scoring.bgzip_output import open_bgzip

        return open_bgzip(path, annotation)
    return _text(path, annotation)


def _open_lines(path: str, annotation: Annotation) -> AbstractContextManager[WriteRecord]:
    from genolm.scoring.line_output import open_bed, open_bedgraph, open_json_lines

    name = path.lower()
    if name.endswith(".bed"):
        return open_bed(path, annotation)
    if name.endswith(".bedgraph"):
        return open_bedgraph(path, annotation)
    return open_json_lines(path, annotation)


@contextmanager
def _text(path: str, annotation: Annotation) -> Iterator[WriteRecord]:
    if path == "-":
        with standard_output() as stream:
            yield _lines(stream, annotation)
        return
    with replace_when_done(path) as partial, partial.open("wb", BUFFER) as stream:
        if annotation.provenance.shard is None:
            yield _lines(stream, annotation)
            return
        written = 0
        write_line = _lines(stream, annotation, written)

        def write(record: VcfRecord, results: Sequence[Result]) -> None:
            nonlocal written
            written += 1
            write_line(record, results)

        yield write
        stream.seek(0)
        stream.write(annotation.encode_header(annotation.header_lines(written)))


def _lines(stream: BinaryIO, annotation: Annotation, records: int | None = None) -> WriteRecord:
    stream.write(annotation.encode_header(annotation.header_lines(records)))

    def write(record: VcfRecord, results: Sequence[Result]) -> None:
        stream.write(annotation.encode_record(record, results))

    return write
