"""BCF output: annotated VCF text, completed with the declarations that BCF needs, then converted.

htslib can end the whole process on a record it does not like, so it converts in a child process.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from genolm.atomic import replace_when_done, temporary_name
from genolm.errors import InputError
from genolm.genome.vcf import VcfRecord
from genolm.scoring.fields import Result
from genolm.scoring.vcf_output import undeclared
from genolm.scoring.writers import Annotation, WriteRecord

_CONVERT: Final = """
import sys, pysam.bcftools
pysam.bcftools.view("--no-version", "-Ob", "-o", sys.argv[2], sys.argv[1], catch_stdout=False)
"""
_UNKNOWN: Final = 'Description="Not declared in the input"'


class _Names:
    """Every contig, filter, INFO and FORMAT name that records use, in order of appearance."""

    def __init__(self) -> None:
        self.contigs: dict[str, None] = {}
        self.filters: dict[str, None] = {}
        self.info: dict[str, bool] = {}  # whether the name ever has a value
        self.formats: dict[str, None] = {}
        self.records = 0

    def see(self, record: VcfRecord) -> None:
        """Take note of a record."""
        columns = record.line.split("\t", 9)
        self.records += 1
        self.contigs[record.chrom] = None
        self.filters |= dict.fromkeys(columns[6].split(";"))
        for entry in record.info.split(";"):
            name, equals, _ = entry.partition("=")
            self.info[name] = self.info.get(name, False) or bool(equals)
        if len(columns) > 8:
            self.formats |= dict.fromkeys(columns[8].split(":"))

    def declarations(self, header: Sequence[str]) -> list[str]:
        """Return header lines for the names that ``header`` does not declare."""
        filters = (name for name in self.filters if name != "PASS")
        info = (
            f"##INFO=<ID={name},Number=.,Type=String,{_UNKNOWN}>"
            if self.info[name]
            else f"##INFO=<ID={name},Number=0,Type=Flag,{_UNKNOWN}>"
            for name in _missing("INFO", header, self.info)
        )
        return [
            *(f"##contig=<ID={name}>" for name in _missing("contig", header, self.contigs)),
            *(f"##FILTER=<ID={name},{_UNKNOWN}>" for name in _missing("FILTER", header, filters)),
            *info,
            *(
                f"##FORMAT=<ID={name},Number={1 if name == 'GT' else '.'},Type=String,{_UNKNOWN}>"
                for name in _missing("FORMAT", header, self.formats)
            ),
        ]


def _missing(
    kind: str, header: Sequence[str], names: Iterator[str] | dict[str, bool] | dict[str, None]
) -> list[str]:
    return [name for name in undeclared(kind, header, names) if name not in ("", ".")]


@contextmanager
def open_bcf(path: str, annotation: Annotation) -> Iterator[WriteRecord]:
    """Open a BCF for writing; it takes its name when the block has succeeded.

    Args:
        path: Ends in .bcf.
        annotation: What stands over the records.

    Yields:
        A function that writes one record with its results.

    Raises:
        InputError: htslib cannot write a record of the input as BCF.
    """
    names = _Names()
    records = temporary_name(Path(f"{path}.records"))
    whole = temporary_name(Path(f"{path}.vcf"))
    try:
        with records.open("wb") as stream:

            def write(record: VcfRecord, results: Sequence[Result]) -> None:
                names.see(record)
                stream.write(annotation.encode_record(record, results))

            yield write
        header = annotation.header_lines(names.records)
        _join(whole, annotation.encode_header([*header, *names.declarations(header)]), records)
        with replace_when_done(path) as partial:
            _convert(whole, partial, path)
    finally:
        records.unlink(missing_ok=True)
        whole.unlink(missing_ok=True)


def _join(whole: Path, header: bytes, records: Path) -> None:
    with whole.open("wb") as target, records.open("rb") as source:
        target.write(header)
        shutil.copyfileobj(source, target)


def _convert(source: Path, target: Path, name: str) -> None:
    command = [sys.executable, "-c", _CONVERT, str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.startswith("[E::")]
        reason = lines[0] if lines else f"htslib ended with {done.returncode}"
        raise InputError(f"{name}: cannot be written as BCF ({reason}); write .vcf.gz instead")
