"""Stream VCF text without changing a byte of it; the one place that knows 1-based positions.

Text is decoded as UTF-8 with ``surrogateescape``: encoding it the same way gives back every byte,
also where a file is not UTF-8.
"""

import io
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

from genolm.errors import InputError
from genolm.genome.bcf import bcf_lines
from genolm.genome.compression import DamagedInputError, open_decompressed, source_name
from genolm.genome.content import kind_of
from genolm.genome.indexed_vcf import index_of, indexed_lines
from genolm.genome.regions import Regions

ENCODING = "utf-8"
ERRORS = "surrogateescape"

_COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
_CONTIG = re.compile(r"##contig=<(?=.*?\bID=([^,>]+))(?=.*?\blength=(\d+))")
_MAKE_HEADER = r"printf '##fileformat=VCFv4.2\n" + r"\t".join(_COLUMNS) + r"\n'"


def start_from_pos(pos: int) -> int:
    """Return the 0-based start of a 1-based VCF position."""
    return pos - 1


def pos_from_start(start: int) -> int:
    """Return the 1-based VCF position of a 0-based start."""
    return start + 1


class VcfRecord(NamedTuple):
    """One data line of a VCF file.

    Attributes:
        line: The line as it stands in the file, without its newline.
        newline: What ended the line: LF, CR LF, or nothing for a last line without newline.
        number: Number of the line in the file, from 1.
        chrom: Contig name, as written.
        start: 0-based position of the first base of ``ref``; -1 for POS 0 (a telomere).
        ref: Reference allele, as written.
        alts: Alternate alleles, as written; ``(".",)`` where there is none.
        info: The INFO column, as written.
        cells: What a table said, where the record was a row of one.
    """

    line: str
    newline: str
    number: int
    chrom: str
    start: int
    ref: str
    alts: tuple[str, ...]
    info: str
    cells: tuple[Any, ...] = ()


class VcfReader:
    """The header and, by iteration, the records of one VCF file, in file order and once.

    Args:
        lines: The lines of the file with their newlines.
        source: Name of the file for messages.
        regions: Leave out the records whose POS lies in none of them; None keeps all.

    Attributes:
        header: The ``##`` lines as they stand in the file, without their newlines.
        columns: The ``#CHROM`` line as it stands in the file, without its newline.
        newline: What ends the ``#CHROM`` line, or the line before it where nothing does.
        contig_lengths: Lengths from the ``##contig`` lines that have one.
        num_records: Number of records read so far.

    Raises:
        InputError: There is no header, or it is malformed. While iterating: a line is malformed
            (the message names it), or the data are cut short (after all complete records).
    """

    def __init__(self, lines: Iterable[str], source: str, regions: Regions | None = None) -> None:
        self.header: list[str] = []
        self.columns = ""
        self.newline = "\n"
        self.num_records = 0
        self._source = source
        self._regions = regions
        self._lines = iter(lines)
        self._number = 0
        self._read_header()
        found = map(_CONTIG.match, self.header)
        self.contig_lengths = {match[1]: int(match[2]) for match in found if match}
        num_columns = self.columns.count("\t") + 1
        # Without samples htslib does not count columns either; with samples, a short line is cut.
        self._tabs = num_columns - 1 if num_columns > len(_COLUMNS) + 1 else None

    def _read_header(self) -> None:
        for text in self._lines:
            self._number += 1
            line = text.rstrip("\r\n")
            self.newline = text[len(line) :] or self.newline
            if line.startswith("##"):
                self.header.append(line)
            elif line.startswith("#CHROM"):
                self.columns = line
                return self._check_columns()
            elif line:
                raise self._no_header(line)
        if not self.header:
            raise InputError(
                f"{self._source} is empty; a VCF file begins with ##fileformat=VCFv4.x"
            )
        raise InputError(f"{self._source}: the header has no #CHROM line; the file is cut short")

    def _check_columns(self) -> None:
        if tuple(self.columns.split("\t")[:8]) != _COLUMNS:
            raise InputError(
                f"{self._source}:{self._number}: the #CHROM line must begin with the eight columns "
                f"{' '.join(_COLUMNS)}, with tabs between them"
            )

    def _no_header(self, line: str) -> InputError:
        kind = kind_of(line.encode(ENCODING, ERRORS))
        if kind:
            return InputError(f"{self._source} is not a VCF file but {kind}")
        place = f"{self._source}:{self._number}"
        if self.header:
            return InputError(f"{place}: a record before the #CHROM line; the header is incomplete")
        target = self._source.removesuffix(".vcf") + ".with_header.vcf"
        return InputError(
            f"{place}: no VCF header; add one: "
            f"({_MAKE_HEADER}; cat {shlex.quote(self._source)}) > {shlex.quote(target)}"
        )

    def __iter__(self) -> Iterator[VcfRecord]:
        """Yield the records that are left."""
        try:
            for text in self._lines:
                self._number += 1
                line = text.rstrip("\r\n")
                if not line:
                    continue
                fields = line.split("\t", 8)
                problem = self._problem(line, fields)
                if problem:
                    raise InputError(f"{self._source}:{self._number}: {problem}")
                chrom, pos, _, ref, alt, _, _, info = fields[:8]
                self.num_records += 1
                start = int(pos) - 1
                if self._regions is not None and not self._regions.hold(chrom, start):
                    continue
                yield VcfRecord(
                    line,
                    text[len(line) :],
                    self._number,
                    chrom,
                    start,
                    ref,
                    tuple(alt.split(",")),
                    info,
                )
        except DamagedInputError as error:
            raise InputError(
                f"{error}; {self.num_records:,} complete records were read before that"
            ) from error

    def _problem(self, line: str, fields: list[str]) -> str | None:
        """Return what is wrong with a data line, if anything is."""
        if len(fields) < 8:
            if line.startswith("#"):
                return "a header line among the records (two files joined with cat?)"
            return f"{len(fields)} tab-separated column(s); a VCF record has at least 8"
        if not (fields[1].isdigit() and fields[1].isascii()):
            return f"POS {fields[1]!r} is not a whole number"
        if not (fields[0] and fields[3] and fields[4]):
            return "CHROM, REF or ALT is empty (a missing value is written '.')"
        if self._tabs is not None and line.count("\t") != self._tabs:
            return f"{line.count(chr(9)) + 1} columns, but the #CHROM line has {self._tabs + 1}"
        return None

    def close(self) -> None:
        """Close the file."""
        close = getattr(self._lines, "close", None)
        if close:
            close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def open_vcf(path: str | Path, regions: Regions | None = None) -> VcfReader:
    """Open VCF text (plain, gzip, bgzip) or BCF, told apart by content.

    Args:
        path: A file, or ``"-"`` for standard input.
        regions: Leave out the records whose POS lies in none of them. An index beside the file
            is used: messages then count the lines that it leads to.

    Raises:
        UsageError: There is no such file.
        InputError: See ``VcfReader``.
    """
    stream = open_decompressed(path)
    if stream.peek(4)[:4] == b"BCF\x02":
        return VcfReader(bcf_lines(path, stream, regions), source_name(path), regions)
    index = index_of(path) if regions is not None and str(path) != "-" else None
    lines = io.TextIOWrapper(stream, ENCODING, ERRORS, newline="\n")
    if index is None or regions is None:
        return VcfReader(lines, source_name(path), regions)
    return VcfReader(_jump(path, index, regions, lines), f"{path} (--regions)", regions)


def _jump(path: str | Path, index: Path, regions: Regions, lines: Iterable[str]) -> Iterator[str]:
    """Yield the header, then what the index leads to, or all where it would change line ends."""
    text = ""
    for text in lines:
        yield text
        if text.startswith("#CHROM"):
            break
    first = next(iter(lines), "\n")
    if first.endswith("\r\n") or text.endswith("\r\n"):  # htslib takes the CR away
        yield first
        yield from lines
        return
    for line in indexed_lines(path, index, regions):
        yield line.decode(ENCODING, ERRORS) + "\n"
