"""The .fai index of a FASTA file: built, read, and checked against the file.

The libraries' own indexers are not used: samtools drops the second of two sequences with one name,
and both miscount lines that hold blanks, without an error. This one names the line.
The format is that of samtools faidx(5).
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from genolm.errors import InputError

_NOT_SEQUENCE = re.compile(rb"[^!-=?-~]")  # blanks, control characters, '>' and non-ASCII
_REWRAP = "rewrap the file, for instance with seqkit seq -w 60"


class FaiEntry(NamedTuple):
    """One contig of a FASTA file.

    Attributes:
        name: The header up to the first blank.
        length: Number of bases.
        offset: Decompressed offset of the first base in bytes.
        line_bases: Bases on each full line; 0 for a contig without bases.
        line_width: Bytes of each full line with its newline.
    """

    name: str
    length: int
    offset: int
    line_bases: int
    line_width: int

    @property
    def end(self) -> int:
        """Decompressed offset of the byte after the last base."""
        if not self.length:
            return self.offset
        full_lines = (self.length - 1) // self.line_bases
        return self.offset + self.length + full_lines * (self.line_width - self.line_bases)


class _Contig:
    """The contig whose lines are being read."""

    def __init__(self, name: str, offset: int) -> None:
        self.name = name
        self.offset = offset
        self.length = 0
        self.line_bases = 0
        self.line_width = 0
        self.ended = False

    def add(self, line: bytes) -> str | None:
        """Count one line and return what is wrong with it, if anything is."""
        content = line.rstrip(b"\r\n")
        bases = len(content)
        if not bases:
            self.ended = True
            return None
        if self.ended:
            return f"bases after a shorter or blank line in {self.name}; {_REWRAP}"
        if not self.length:
            self.line_bases = bases
            self.line_width = len(line) if line.endswith(b"\n") else bases + 1
        self.length += bases
        full = bases == self.line_bases
        self.ended = not full or len(line) != self.line_width
        if bases > self.line_bases or (full and self.ended and line.endswith(b"\n")):
            return f"lines of different length in {self.name}; {_REWRAP}"
        return None if content.isalpha() else _odd_byte(content)

    def entry(self) -> FaiEntry:
        return FaiEntry(self.name, self.length, self.offset, self.line_bases, self.line_width)


def _odd_byte(content: bytes) -> str | None:
    found = _NOT_SEQUENCE.search(content)
    if not found:
        return None
    return f"byte {found.group()!r} at column {found.start() + 1} is no sequence; remove it"


def scan_fasta(lines: Iterable[bytes], source: str) -> Iterator[FaiEntry]:
    """Yield the contigs of a FASTA file.

    Args:
        lines: The lines of the decompressed file with their newlines.
        source: Name of the file for messages.

    Raises:
        InputError: The file cannot be indexed; the message has the line and the reason.
    """
    contig: _Contig | None = None
    first_lines: dict[str, int] = {}
    offset = 0
    for number, line in enumerate(lines, 1):
        offset += len(line)
        if line.startswith(b">"):
            if contig:
                yield contig.entry()
            name = _new_name(line, number, first_lines, source)
            contig = _Contig(name, offset)
        elif contig:
            problem = contig.add(line)
            if problem:
                raise InputError(f"{source}:{number}: {problem}")
        elif line.strip():
            raise InputError(f"{source}:{number}: text before the first '>' header")
    if contig:
        yield contig.entry()


def _new_name(header: bytes, number: int, first_lines: dict[str, int], source: str) -> str:
    words = header[1:].split(maxsplit=1)
    if not words:
        raise InputError(f"{source}:{number}: a header without a name")
    try:
        name = words[0].decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{source}:{number}: the name {words[0]!r} is not UTF-8") from error
    first = first_lines.setdefault(name, number)
    if first != number:
        raise InputError(
            f"{source}:{number}: a second contig named {name!r} (the first is on line {first}); "
            "rename or remove one"
        )
    return name


def fai_text(entries: Iterable[FaiEntry]) -> str:
    """Return the .fai index as samtools writes it."""
    return "".join("\t".join(map(str, entry)) + "\n" for entry in entries)


def parse_fai(text: str) -> tuple[FaiEntry, ...]:
    """Return the entries of a .fai index.

    Raises:
        ValueError: The text is no FASTA index.
    """
    entries = []
    for line in text.removesuffix("\n").split("\n"):
        name, *numbers = line.split("\t")
        length, offset, line_bases, line_width = map(int, numbers)
        entries.append(FaiEntry(name, length, offset, line_bases, line_width))
        if length and not 0 < line_bases < line_width:
            raise ValueError(f"no FASTA index entry: {line!r}")
    return tuple(entries)
