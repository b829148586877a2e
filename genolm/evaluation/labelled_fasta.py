"""FASTA files whose headers end in the label, as the Nucleotide Transformer's tasks have them.

``>NAME|LABEL`` and the bases. Not read by position: such files hold many short sequences.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from genolm.data.labelled_set import LabelledSet
from genolm.errors import InputError
from genolm.evaluation.intervals import describe_repeated
from genolm.genome.compression import open_decompressed, require_file

FASTA_SUFFIXES: Final = (".fna", ".fa", ".fasta")
SUFFIXES: Final = tuple(f"{name}{end}" for name in FASTA_SUFFIXES for end in ("", ".gz"))


def read_labelled_fasta(path: Path) -> tuple[LabelledSet, list[str]]:
    """Read sequences whose label is what stands behind the last ``|`` of the header.

    Returns:
        The sequences, and a sentence about names that stand twice, if any do.

    Raises:
        UsageError: There is no such file.
        InputError: It does not begin with a header, or a header has no label.
    """
    sequences: list[list[str]] = []
    labels: list[str] = []
    lines: dict[int, str] = {}
    with io.TextIOWrapper(open_decompressed(require_file(path)), encoding="ascii") as text:
        try:
            for number, line in enumerate(text, 1):
                if line.startswith(">"):
                    name, label = _split_header(line[1:].strip(), f"{path}:{number}")
                    labels.append(label)
                    sequences.append([])
                    lines[number] = name
                elif sequences:
                    sequences[-1].append(line.strip())
                elif line.strip():
                    raise InputError(f"{path}:{number}: a FASTA file begins with a '>' line")
        except UnicodeDecodeError:
            raise InputError(f"{path}: not a FASTA file in plain text") from None
    joined = ["".join(parts) for parts in sequences]
    rows = LabelledSet(str(path), joined, labels, [str(path)] * len(joined), list(lines))
    return rows, describe_repeated(path, "name", _repeated(lines))


def _split_header(header: str, place: str) -> tuple[str, str]:
    name, bar, label = header.rpartition("|")
    if not bar or not label.strip():
        raise InputError(f"{place}: no label; a header is written >NAME|LABEL")
    return name, label.strip()


def _repeated(lines: Mapping[int, str]) -> list[tuple[int, str]]:
    first: dict[str, int] = {}
    return [(line, name) for line, name in lines.items() if first.setdefault(name, line) != line]
