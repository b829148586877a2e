"""Write the scores of every SNV in the format that the output's name asks for, whole or not at all.

Text tables and bedGraph begin with the provenance in ``#`` lines; .npz has it as ``provenance``,
Parquet as metadata, VCF in its header; BigWig has no place for it.
"""

import csv
import gzip
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import IO, Final, TextIO, cast

import numpy as np
from numpy.typing import NDArray

from genolm.atomic import replace_when_done
from genolm.data.columns import DELIMITERS, Column
from genolm.errors import UsageError
from genolm.genome.vcf import VcfRecord, pos_from_start
from genolm.scoring.fields import PREFIX, format_score
from genolm.scoring.percentiles import SUFFIX
from genolm.scoring.saturate import BASES, SiteBlock
from genolm.scoring.saturate_bigwig import BIGWIG_SUFFIXES, open_bigwig, require_pybigtools
from genolm.scoring.saturate_heading import LLR, SCREEN_FIELD, Heading, SiteValue
from genolm.scoring.tables import MISSING, check_place, check_table, open_table
from genolm.scoring.writers import Annotation, open_writer

WriteBlock = Callable[[SiteBlock], None]

SITE_VALUES: Final = ("mean", "min")
VCF_SUFFIXES: Final = (".vcf", ".vcf.gz", ".vcf.bgz", ".bcf")
BEDGRAPH_SUFFIXES: Final = (".bedgraph", ".bedgraph.gz")
SUFFIXES: Final = (
    *DELIMITERS, ".parquet", *VCF_SUFFIXES, ".npz", *BEDGRAPH_SUFFIXES, *BIGWIG_SUFFIXES,
)  # fmt: skip
_ARRAYS: Final = {
    f"{PREFIX}LLR": "scores",
    f"{PREFIX}LLR_FWD": "scores_fwd",
    f"{PREFIX}LLR_REV": "scores_rev",
    f"{PREFIX}LLR{SUFFIX}": "percentiles",
    f"{PREFIX}LLR_FWD{SUFFIX}": "percentiles_fwd",
    f"{PREFIX}LLR_REV{SUFFIX}": "percentiles_rev",
    f"{PREFIX}SCREEN": "screen",
    f"{PREFIX}SCREEN{SUFFIX}": "percentiles_screen",
}
_VCF_COLUMNS: Final = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"


def check_saturation_output(path: str, site_value: str = "mean") -> None:
    """Make sure that an output can be written before any work is done for it.

    Raises:
        UsageError: The name tells no format, its folder is missing, or a library is; or the value
            of a bedGraph or BigWig is unknown.
    """
    if site_value not in SITE_VALUES:
        raise UsageError(f"--bedgraph-value {site_value}: choose one of {', '.join(SITE_VALUES)}")
    if path == "-":
        return
    if not path.lower().endswith(SUFFIXES):
        raise UsageError(f"{path}: an output's name ends in one of {' '.join(SUFFIXES)}")
    check_place(path)
    if path.lower().endswith(".parquet"):
        check_table(path)
    if path.lower().endswith(BIGWIG_SUFFIXES):
        require_pybigtools(path)


def open_saturation(path: str, heading: Heading) -> AbstractContextManager[WriteBlock]:
    """Open an output; it takes its name when the block has succeeded.

    Args:
        path: Ends in one of ``SUFFIXES``; "-" is TSV on stdout.
        heading: What it is about.

    Returns:
        A context manager; it gives a function that writes one block.
    """
    name = path.lower()
    if name.endswith(VCF_SUFFIXES):
        return _vcf(path, heading)
    if name.endswith(".npz"):
        return _npz(path, heading)
    if name.endswith(BEDGRAPH_SUFFIXES):
        return _bedgraph(path, heading)
    if name.endswith(BIGWIG_SUFFIXES):
        return _bigwig(path, heading)
    return _parquet(path, heading) if name.endswith(".parquet") else _text_table(path, heading)


def site_values(scores: NDArray[np.float64], value: SiteValue) -> NDArray[np.float64]:
    """Return one number per base (n,), nan where nothing was scored.

    Args:
        scores: (n, 4), nan where there is none.
        value: "mean" for the mean of the absolute scores, "min" for the lowest score.
    """
    known = ~np.isnan(scores)
    if value == "min":
        lowest = np.where(known, scores, np.inf).min(axis=1)
        return np.where(known.any(axis=1), lowest, np.nan)
    total = np.where(known, np.abs(scores), 0.0).sum(axis=1)
    return np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)


@contextmanager
def _open_text(path: str, heading: Heading) -> Iterator[TextIO]:
    with ExitStack() as stack:
        text: TextIO = sys.stdout
        if path != "-":
            partial = stack.enter_context(replace_when_done(path))
            stream: IO[bytes] = stack.enter_context(partial.open("wb"))
            if path.lower().endswith(".gz"):
                # No name and no time inside: the same scores give the same bytes.
                packed = gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0)
                stream = cast(IO[bytes], stack.enter_context(packed))
            text = stack.enter_context(io.TextIOWrapper(stream, "utf-8", newline=""))
        text.writelines(f"{line}\n" for line in heading.provenance.lines())
        yield text
        text.flush()


def _columns(heading: Heading) -> list[Column]:
    return [
        Column("chrom", "text"),
        Column("pos", "integer"),
        Column("ref", "text"),
        Column("alt", "text"),
        *(Column(one.name, "real") for one in heading.fields),
    ]


@contextmanager
def _text_table(path: str, heading: Heading) -> Iterator[WriteBlock]:
    delimiter = "," if path.lower().endswith((".csv", ".csv.gz")) else "\t"
    with _open_text(path, heading) as text:
        writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
        writer.writerow([column.name for column in _columns(heading)])

        def write(block: SiteBlock) -> None:
            for snv in block.snvs():
                found = (one.value(snv.result) for one in heading.fields)
                values = [MISSING if one is None else format_score(one) for one in found]
                writer.writerow([block.chrom, pos_from_start(snv.start), snv.ref, snv.alt, *values])

        yield write


@contextmanager
def _parquet(path: str, heading: Heading) -> Iterator[WriteBlock]:
    metadata = {"genolm": "\n".join(heading.provenance.lines())}
    with open_table(path, _columns(heading), metadata) as write_rows:

        def write(block: SiteBlock) -> None:
            write_rows(
                [
                    block.chrom,
                    pos_from_start(snv.start),
                    snv.ref,
                    snv.alt,
                    *(one.value(snv.result) for one in heading.fields),
                ]
                for snv in block.snvs()
            )

        yield write


@contextmanager
def _vcf(path: str, heading: Heading) -> Iterator[WriteBlock]:
    header = ["##fileformat=VCFv4.2"]
    header += [f"##contig=<ID={name},length={size}>" for name, size in heading.contigs.items()]
    annotation = Annotation(heading.fields, heading.provenance, header, _VCF_COLUMNS, "\n")
    with open_writer(path, annotation) as write_record:

        def write(block: SiteBlock) -> None:
            for snv in block.snvs():
                pos = pos_from_start(snv.start)
                line = f"{block.chrom}\t{pos}\t.\t{snv.ref}\t{snv.alt}\t.\t.\t."
                record = VcfRecord(line, "\n", 0, block.chrom, snv.start, snv.ref, (snv.alt,), ".")
                write_record(record, [snv.result])

        yield write


@contextmanager
def _bedgraph(path: str, heading: Heading) -> Iterator[WriteBlock]:
    with _open_text(path, heading) as text:

        def write(block: SiteBlock) -> None:
            values = site_values(block.scores(heading.drawn), heading.site_value)
            text.writelines(
                f"{block.chrom}\t{start}\t{start + 1}\t{format_score(value)}\n"
                for start, value in enumerate(values.tolist(), block.start)
                if not np.isnan(value)
            )

        yield write


@contextmanager
def _bigwig(path: str, heading: Heading) -> Iterator[WriteBlock]:
    with open_bigwig(path, heading.contigs) as add:

        def write(block: SiteBlock) -> None:
            add(
                block.chrom,
                block.start,
                site_values(block.scores(heading.drawn), heading.site_value),
            )

        yield write


class _Arrays:
    """Gathers blocks into the arrays of an .npz file."""

    def __init__(self, heading: Heading) -> None:
        self._heading = heading
        first = {} if heading.drawn == SCREEN_FIELD else {"scores": LLR}
        self._fields = first | {_ARRAYS[one.name]: one for one in heading.fields}
        self._scores: dict[str, list[NDArray[np.float32]]] = {name: [] for name in self._fields}
        self._bases: list[str] = []
        self._positions: list[NDArray[np.int64]] = []
        self._intervals: dict[int, tuple[str, int, int]] = {}

    def add(self, block: SiteBlock) -> None:
        """Take in a block."""
        for name, one in self._fields.items():
            self._scores[name].append(block.scores(one).astype(np.float32))
        end = block.start + len(block.bases)
        self._bases.append(block.bases)
        self._positions.append(np.arange(block.start, end))
        _, start, _ = self._intervals.get(block.number, ("", block.start, 0))
        self._intervals[block.number] = (block.chrom, start, end)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return everything by name."""
        spans = list(self._intervals.values())
        none = np.zeros((0, len(BASES)), np.float32)
        found: dict[str, NDArray[np.generic]] = {
            name: np.concatenate([none, *scores]) for name, scores in self._scores.items()
        }
        return found | {
            "ref": np.array(list("".join(self._bases)), dtype="U1"),
            "positions": np.concatenate([np.zeros(0, np.int64), *self._positions]),
            "chrom": np.array([chrom for chrom, _, _ in spans], dtype=np.str_),
            "start": np.array([start for _, start, _ in spans], dtype=np.int64),
            "end": np.array([end for _, _, end in spans], dtype=np.int64),
            "provenance": np.array("\n".join(self._heading.provenance.lines())),
        }


@contextmanager
def _npz(path: str, heading: Heading) -> Iterator[WriteBlock]:
    arrays = _Arrays(heading)
    with replace_when_done(path) as partial:
        yield arrays.add
        with partial.open("wb") as stream:
            np.savez_compressed(stream, **arrays.arrays())  # type: ignore[arg-type]  # none is a flag
