"""Embed a file of sequences: one array, and a table that says whose rows are whose."""

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Final

from genolm import __version__
from genolm.console import meter, say
from genolm.data.columns import Column, Value
from genolm.errors import InputError, UsageError
from genolm.scoring.array_rows import open_rows
from genolm.scoring.embeddings import POOLS, Pool, SequenceEmbedder
from genolm.scoring.model_files import model_digest, model_name
from genolm.scoring.runtime import Runtime
from genolm.scoring.sequences import Row, SequenceTable, read_sequences
from genolm.scoring.tables import check_place, open_table

ROW: Final = Column("embedding_row", "integer")
BASES: Final = Column("embedding_bases", "integer")
CHUNK: Final = 1024
CHUNK_BASES: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class EmbeddingJob:
    """Everything that embedding a file needs to know.

    Attributes:
        input: FASTA, CSV, TSV, Parquet or BED; "-" is FASTA on standard input.
        model: Folder of any model, the name of a bundled one, or a hub id.
        output: OUT of OUT.npy and OUT.parquet; a name that ends in .npy means the same.
        reference: The FASTA that a BED refers to.
        column: The column of a table that holds the bases.
        layer: See ``SequenceEmbedder``.
        pool: Likewise.
        runtime: How the model is run.
    """

    input: str
    model: str
    output: str
    reference: str | None = None
    column: str = "sequence"
    layer: int | None = None
    pool: Pool = "mean"
    runtime: Runtime = field(default_factory=Runtime)


@dataclass(frozen=True, slots=True)
class EmbeddingSummary:
    """What embedding a file came to.

    Attributes:
        sequences: Sequences embedded.
        rows: Rows of the array.
        width: Columns of the array.
        array: Its file.
        table: The file of the table.
        seconds: Time from the first sequence to the last.
    """

    sequences: int
    rows: int
    width: int
    array: str
    table: str
    seconds: float

    def line(self) -> str:
        """Return the closing line."""
        rate = self.sequences / max(self.seconds, 1e-9)
        return (
            f"{self.sequences} sequences in {self.seconds:.1f} s ({rate:.1f} sequences/s):"
            f" {self.array} ({self.rows} x {self.width}), {self.table}"
        )


def embed_file(job: EmbeddingJob) -> EmbeddingSummary:
    """Embed every sequence of a file; both files are written whole or not at all.

    ``OUT.npy`` is float32 (rows, width). The table has the columns of the input but for the bases,
    and for each sequence its first row of the array and its number of bases; with pool "none" a
    sequence has a row for each of them, else one.

    Raises:
        UsageError: An option, or a file that is not there.
        InputError: The content of a file; nothing is published then.
    """
    job.runtime.check()
    if job.pool not in POOLS:
        raise UsageError(f"--pool {job.pool}: choose one of {', '.join(POOLS)}")
    array, listing = output_names(job.output)
    table = read_sequences(job.input, column=job.column, fasta=job.reference)
    kept, columns = _columns(job, table)
    model, _ = job.runtime.load(job.model)
    embedder = SequenceEmbedder(
        model, layer=job.layer, pool=job.pool, batch_size=job.runtime.batch_size
    )
    sequences = rows = 0
    started = time.monotonic()
    with ExitStack() as stack:
        write_rows = stack.enter_context(open_rows(array, embedder.width))
        write_table = stack.enter_context(open_table(listing, columns, _origin(job)))
        shown = stack.enter_context(meter("embedding", "sequences"))
        for chunk in _chunks(_fitting(table.rows, embedder.length)):
            vectors = embedder.embed([row.sequence for row in chunk])
            lines: list[list[Value]] = []
            for row, found in zip(chunk, vectors, strict=True):
                write_rows(found)
                lines.append([*(row.values[i] for i in kept), rows, len(row.sequence)])
                rows += len(found)
            write_table(lines)
            sequences += len(chunk)
            shown.advance(len(chunk))
    seconds = time.monotonic() - started
    return EmbeddingSummary(sequences, rows, embedder.width, array, listing, seconds)


def output_names(output: str) -> tuple[str, str]:
    """Return the names of the array and of the table, once it is known that they can be written.

    Raises:
        UsageError: They cannot.
    """
    if output == "-":
        raise UsageError("--output -: two files are written; name them, such as -o embeddings")
    stem = output.removesuffix(".npy")
    if find_spec("pyarrow") is None:
        say("the table is TSV, as pyarrow is not installed (pip install 'genolm[tracks]')")
        names = f"{stem}.npy", f"{stem}.tsv"
    else:
        names = f"{stem}.npy", f"{stem}.parquet"
    for name in names:
        check_place(name)
    return names


def _columns(job: EmbeddingJob, table: SequenceTable) -> tuple[list[int], list[Column]]:
    """Which values of the input are kept, and the columns of the table."""
    kept = [i for i, column in enumerate(table.columns) if column.name != job.column]
    columns = [table.columns[i] for i in kept]
    for new in (ROW, BASES):
        if new.name in {column.name for column in columns}:
            raise InputError(f"{job.input}: has a column {new.name!r} already; rename it")
    return kept, [*columns, ROW, BASES]


def _origin(job: EmbeddingJob) -> dict[str, str]:
    model = f"model {model_name(job.model)}, sha256 {model_digest(job.model)}"
    layer = "last" if job.layer is None else str(job.layer)
    return {"genolm": f"genolm {__version__}, {model}, layer {layer}, pool {job.pool}"}


def _fitting(rows: Iterable[Row], longest: int | None) -> Iterator[Row]:
    for row in rows:
        if longest is not None and len(row.sequence) > longest:
            raise InputError(
                f"{row.source}: {len(row.sequence):,} bases, and this model reads {longest:,} at"
                " most; cut it into pieces"
            )
        yield row


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield rows some at a time: not too many of them, and not too many bases."""
    chunk: list[Row] = []
    bases = 0
    for row in rows:
        if chunk and (len(chunk) == CHUNK or bases + len(row.sequence) > CHUNK_BASES):
            yield chunk
            chunk, bases = [], 0
        chunk.append(row)
        bases += len(row.sequence)
    if chunk:
        yield chunk
