"""BCF as lines of VCF text, through htslib."""

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from genolm.errors import InputError
from genolm.genome.compression import DamagedInputError, source_name
from genolm.genome.regions import END_OF_ANY_CONTIG, Regions


def bcf_lines(
    path: str | Path, stream: io.BufferedReader, regions: Regions | None = None
) -> Iterator[str]:
    """Yield header and records of a BCF file as VCF lines that end in LF.

    Args:
        path: The file; ``"-"`` takes the data from ``stream``.
        stream: The decompressed BCF, from its first byte on; closed at the end.
        regions: With an index beside the file, only records that begin there are read.

    Raises:
        InputError: pysam is not installed.
        DamagedInputError: The data are cut short or corrupt, after the complete records.
    """
    try:
        import pysam
    except ImportError as error:
        raise InputError(
            f"{source_name(path)}: BCF needs pysam; convert the file to VCF"
        ) from error
    quiet = pysam.set_verbosity(0)  # htslib would print its own lines beside our one
    try:
        with stream, ExitStack() as stack:
            name = str(path)
            if name == "-":
                spool = stack.enter_context(tempfile.NamedTemporaryFile(suffix=".bcf"))
                shutil.copyfileobj(stream, spool)
                spool.flush()
                name = spool.name
            # What stands at POS 0 is in no index of a BCF.
            indexed = regions and not regions.hold_telomeres and Path(f"{name}.csi").is_file()
            yield from _lines(pysam, name, regions if indexed else None)
    except (OSError, ValueError) as error:
        raise DamagedInputError(
            f"{source_name(path)}: truncated or damaged BCF ({error})"
        ) from error
    finally:
        pysam.set_verbosity(quiet)


def _lines(pysam: Any, name: str, regions: Regions | None) -> Iterator[str]:
    with pysam.VariantFile(name) as file:
        for line in str(file.header).split("\n"):
            if line:
                yield f"{line}\n"
        for record in file if regions is None else _fetch(file, regions):
            yield str(record)


def _fetch(file: Any, regions: Regions) -> Iterator[Any]:
    for contig in file.header.contigs:
        for start, end in regions.of(contig):
            last = None if end == END_OF_ANY_CONTIG else end
            for record in file.fetch(contig, start, last):
                if start <= record.start < end:
                    yield record
