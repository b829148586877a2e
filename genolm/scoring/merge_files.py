"""Join the outputs of ``--shard``: the records of the input again, each once and in its order."""

import io
import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, Final

from genolm.data.columns import DELIMITERS, require_pyarrow, table_suffix
from genolm.errors import InputError, UsageError
from genolm.genome.compression import open_decompressed, require_file
from genolm.genome.vcf import ENCODING, ERRORS, VcfReader, VcfRecord, open_vcf
from genolm.scoring.fields import Result
from genolm.scoring.shard_parts import Part, in_order, read_part, take_turns
from genolm.scoring.shards import BLOCK_COLUMN, BLOCK_MARK, END_MARK
from genolm.scoring.tables import open_bytes
from genolm.scoring.vcf_output import Provenance
from genolm.scoring.writers import VCF_SUFFIXES, Annotation, check_output, open_writer

_PROVENANCE: Final = "##genolm"
_OWN_DECLARATION: Final = 'Description="Not declared in the input"'


def merge_files(paths: Sequence[str], output: str, command: str) -> int:
    """Write the records of all parts in the order of the input, whole or not at all.

    Args:
        paths: Outputs of every shard, in any order.
        output: VCF, VCF.gz or BCF where the parts are such, TSV or CSV as they are, or Parquet.
        command: The command line, for the header.

    Returns:
        How many records (or rows of a table) were written.

    Raises:
        UsageError: A missing file, or an output of another kind than the parts.
        InputError: The parts are not all the parts of one scoring; nothing is published.
    """
    for path in paths:
        require_file(path)
        if paths.count(path) > 1:
            raise UsageError(f"{path} is named twice")
    check_output(output)
    kind = _kind(output)
    for path in paths:
        if _kind(path) != kind:
            raise UsageError(f"{path} cannot become {output}: merge to the same kind of file")
    if kind == "vcf":
        return _merge_vcf(paths, output, command)
    if kind == "parquet":
        return _merge_parquet(paths, output, command)
    return _merge_text(paths, output)


def _kind(path: str) -> str:
    suffix = table_suffix(path)
    if suffix == ".parquet":
        return "parquet"
    if suffix is not None:
        return DELIMITERS[suffix]
    if path == "-" or path.lower().endswith(VCF_SUFFIXES):
        return "vcf"
    raise UsageError(f"{path}: merge joins VCF, BCF, TSV, CSV and Parquet")


@dataclass
class _AsItIs(Annotation):
    """Records that carry their scores already."""

    def header_lines(self, records: int | None = None) -> list[str]:
        """Return the ``##`` lines."""
        return list(self.header)

    def encode_record(self, record: VcfRecord, results: Sequence[Result]) -> bytes:
        """Return the record's own bytes."""
        return f"{record.line}{record.newline}".encode(ENCODING, ERRORS)


def _merge_vcf(paths: Sequence[str], output: str, command: str) -> int:
    with ExitStack() as stack:
        readers = {path: stack.enter_context(open_vcf(path)) for path in paths}
        parts = in_order([_vcf_part(path, reader) for path, reader in readers.items()])
        first = readers[parts[0].path]
        annotation = _AsItIs(
            (), _NOWHERE, _joined_header(parts, readers, command), first.columns, first.newline
        )
        size = parts[0].shard.block
        blocks = [_blocks(iter(readers[part.path]), size) for part in parts]
        with open_writer(output, annotation) as write:
            for block in take_turns(parts, blocks, size):
                for record in block:
                    write(record, ())
            for part in parts:
                _check_end(part, readers[part.path].num_records)
        return sum(reader.num_records for reader in readers.values())


def _check_end(part: Part, found: int) -> None:
    if part.shard.records not in (None, found):
        raise InputError(
            f"{part.path}: cut short, it was written with {part.shard.records} records and has"
            f" {found}"
        )


_NOWHERE: Final = Provenance("", "", "", "", "", "")  # the lines stand in the header already


def _vcf_part(path: str, reader: VcfReader) -> Part:
    own = [line for line in reader.header if line.startswith(_PROVENANCE)]
    # A BCF declares what its own records use, which differs from part to part.
    given = [line for line in reader.header if not line.startswith(_PROVENANCE)]
    form = [line for line in given if not _is_own_declaration(line)]
    return read_part(path, own, [*form, reader.columns, reader.newline])


def _is_own_declaration(line: str) -> bool:
    return _OWN_DECLARATION in line or (line.startswith("##contig=") and "," not in line)


def _joined_header(parts: Sequence[Part], readers: dict[str, VcfReader], command: str) -> list[str]:
    lines: dict[str, None] = {}
    for part in parts:
        for line in readers[part.path].header:
            if part is parts[0] and line == part.shard.line():
                lines[f"##genolmMerge={' '.join(command.split())}"] = None
            elif part is parts[0] or not line.startswith(_PROVENANCE):
                lines[line] = None
    return list(lines)


def _blocks(records: Iterator[VcfRecord], size: int) -> Iterator[list[VcfRecord]]:
    while block := list(itertools.islice(records, size)):
        yield block


def _merge_text(paths: Sequence[str], output: str) -> int:
    with ExitStack() as stack:
        opened = {path: stack.enter_context(closing(open_decompressed(path))) for path in paths}
        found = {path: _text_part(path, lines) for path, lines in opened.items()}
        parts = in_order([part for part, _ in found.values()])
        blocks = [_text_blocks(part.path, opened[part.path]) for part in parts]
        written = 0
        with open_bytes(output) as stream:
            stream.write(found[parts[0].path][1])
            for block in take_turns(parts, blocks, None):
                stream.writelines(block)
                written += len(block)
    return written


def _text_part(path: str, lines: io.BufferedReader) -> tuple[Part, bytes]:
    own = []
    heading = lines.readline()
    while heading.startswith(_PROVENANCE.encode()):
        own.append(heading.decode(ENCODING, ERRORS).rstrip("\n"))
        heading = lines.readline()
    return read_part(path, own, [heading.decode(ENCODING, ERRORS)]), heading


def _text_blocks(path: str, lines: io.BufferedReader) -> Iterator[list[bytes]]:
    begin, end = f"{BLOCK_MARK}\n".encode(), f"{END_MARK}\n".encode()
    block: list[bytes] = []
    for line in lines:
        if line == end:
            break
        if line == begin:
            if block:
                yield block
            block = []
        else:
            block.append(line)
    else:
        raise InputError(f"{path}: cut short, its last line is missing")
    if block:
        yield block


def _merge_parquet(paths: Sequence[str], output: str, command: str) -> int:
    require_pyarrow(output)
    from pyarrow import ArrowException, parquet

    from genolm.atomic import replace_when_done

    try:
        files = {path: parquet.ParquetFile(path) for path in paths}
    except (ArrowException, OSError) as error:
        raise InputError(f"not a readable Parquet file ({error})") from None
    parts = in_order([_parquet_part(path, file) for path, file in files.items()])
    lines = [line for line in parts[0].lines if line != parts[0].shard.line()]
    lines.append(f"##genolmMerge={' '.join(command.split())}")
    plain = files[parts[0].path].schema_arrow
    plain = plain.remove(plain.get_field_index(BLOCK_COLUMN))
    schema = plain.with_metadata({"genolm": "\n".join(lines)})
    blocks = [_parquet_blocks(files[part.path]) for part in parts]
    written = 0
    with (
        replace_when_done(output) as partial,
        parquet.ParquetWriter(partial, schema, compression="zstd") as writer,
    ):
        for table in itertools.chain.from_iterable(take_turns(parts, blocks, None)):
            writer.write_table(table.drop_columns([BLOCK_COLUMN]).cast(schema))
            written += table.num_rows
    return written


def _parquet_part(path: str, file: Any) -> Part:
    own = (file.schema_arrow.metadata or {}).get(b"genolm", b"").decode().split("\n")
    return read_part(path, own, [str(file.schema_arrow.remove_metadata())])


def _parquet_blocks(file: Any) -> Iterator[list[Any]]:
    from pyarrow import Table, compute

    block: list[Any] = []
    number = 0
    for batch in file.iter_batches():
        table = Table.from_batches([batch])
        for here in compute.unique(table[BLOCK_COLUMN]).to_pylist():
            if here != number:
                yield block
                block, number = [], here
            block.append(table.filter(compute.equal(table[BLOCK_COLUMN], here)))
    if block:
        yield block
