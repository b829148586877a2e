"""Scored alleles as lines of JSON, BED or bedGraph."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from genolm.console import warn
from genolm.genome.vcf import ENCODING, ERRORS, VcfRecord, pos_from_start
from genolm.scoring.fields import SKIP, Result, format_score
from genolm.scoring.tables import open_bytes
from genolm.scoring.writers import Annotation, WriteRecord

JSON_SUFFIXES: Final = (".jsonl", ".jsonl.gz")


@contextmanager
def open_json_lines(path: str, annotation: Annotation) -> Iterator[WriteRecord]:
    """Open JSON lines for writing: an object for provenance, then one for every allele.

    Args:
        path: Ends in .jsonl or .jsonl.gz.
        annotation: What stands over the records.
    """
    with open_bytes(path) as stream:

        def write_line(value: object) -> None:
            stream.write(f"{json.dumps(value)}\n".encode("ascii"))

        write_line({"genolm": annotation.provenance.values()})

        def write(record: VcfRecord, results: Sequence[Result]) -> None:
            identifier = record.line.split("\t", 3)[2]
            for alt, result in zip(record.alts, results, strict=True):
                write_line(
                    {
                        "chrom": record.chrom,
                        "pos": pos_from_start(record.start),
                        "id": None if identifier == "." else identifier,
                        "ref": record.ref,
                        "alt": alt,
                        **{one.name: one.cell(result) for one in annotation.fields},
                        SKIP: result if isinstance(result, str) else None,
                    }
                )

        yield write


@contextmanager
def open_bed(path: str, annotation: Annotation) -> Iterator[WriteRecord]:
    """Open a BED for writing: the bases of REF, REF>ALT as the name, a column for every score.

    Alleles without a score are left out.

    Args:
        path: Ends in .bed.
        annotation: What stands over the records.
    """
    names = [one.name for one in annotation.fields]
    with open_bytes(path) as stream:
        stream.write(_comments(annotation, "\t".join(["chrom", "start", "end", "name", *names])))

        def write(record: VcfRecord, results: Sequence[Result]) -> None:
            end = record.start + len(record.ref)
            for alt, result in zip(record.alts, results, strict=True):
                texts = [one.text(result) or "." for one in annotation.fields]
                if any(text != "." for text in texts):
                    cells = [record.chrom, record.start, end, f"{record.ref}>{alt}", *texts]
                    stream.write(_line(cells))

        yield write


@contextmanager
def open_bedgraph(path: str, annotation: Annotation) -> Iterator[WriteRecord]:
    """Open a bedGraph for writing: for the base at each POS the most negative score there.

    Records of one POS that follow each other are one line, and a line is one base wide, so that
    those of a sorted input do not overlap. It holds the first of the scores asked for.

    Args:
        path: Ends in .bedgraph.
        annotation: What stands over the records.
    """
    shown, *others = (one for one in annotation.fields if one.kind == "real")
    if others:
        warn(f"{path}: a bedGraph holds one score, this one {shown.name}")
    site: tuple[str, int] | None = None
    lowest = 0.0
    with open_bytes(path) as stream:
        stream.write(_comments(annotation, f"chrom\tstart\tend\t{shown.name}"))

        def flush() -> None:
            if site is not None:
                chrom, start = site
                stream.write(_line([chrom, start, start + 1, format_score(lowest)]))

        def write(record: VcfRecord, results: Sequence[Result]) -> None:
            nonlocal site, lowest
            values = [v for v in map(shown.value, results) if v is not None]
            if not values:
                return
            here = (record.chrom, record.start)
            if here == site:
                lowest = min(lowest, *values)
                return
            flush()
            site, lowest = here, min(values)

        yield write
        flush()


def _comments(annotation: Annotation, columns: str) -> bytes:
    lines = [line.removeprefix("#") for line in annotation.provenance.lines()]
    return "".join(f"{line}\n" for line in [*lines, f"#{columns}"]).encode(ENCODING, ERRORS)


def _line(cells: Sequence[object]) -> bytes:
    return ("\t".join(map(str, cells)) + "\n").encode(ENCODING, ERRORS)
