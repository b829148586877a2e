"""A bgzipped VCF with its tabix index."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pysam

from genolm.atomic import replace_when_done
from genolm.console import warn
from genolm.genome.bgzip import BgzipWriter
from genolm.genome.vcf import VcfRecord
from genolm.scoring.fields import Result
from genolm.scoring.writers import Annotation, WriteRecord

LAST_POSITION_OF_TBI: Final = 1 << 29


class _Order:
    """Notices whether records come sorted by position within contigs that each come once."""

    def __init__(self) -> None:
        self.sorted = True
        self.last_end = 0
        self._chrom: str | None = None
        self._start = -1
        self._seen: set[str] = set()

    def see(self, record: VcfRecord) -> None:
        """Take note of a record."""
        self.last_end = max(self.last_end, record.start + len(record.ref))
        if record.chrom != self._chrom:
            self.sorted = self.sorted and record.chrom not in self._seen
            self._seen.add(record.chrom)
            self._chrom = record.chrom
        elif record.start < self._start:
            self.sorted = False
        self._start = record.start


@contextmanager
def open_bgzip(path: str, annotation: Annotation) -> Iterator[WriteRecord]:
    """Open a bgzipped VCF for writing; data and index take their names together.

    The index is a .tbi, or a .csi where positions are beyond what a .tbi can hold. Records that
    are not sorted by position cannot be indexed: they are written all the same, with a warning.

    Args:
        path: Ends in .vcf.gz or .vcf.bgz.
        annotation: What stands over the records.

    Yields:
        A function that writes one record with its results.
    """
    order = _Order()
    index: Path | None = None
    try:
        with replace_when_done(path) as partial:
            with _named(path), partial.open("wb") as file, BgzipWriter(file) as stream:
                stream.write(annotation.encode_header(annotation.header_lines()))

                def write(record: VcfRecord, results: Sequence[Result]) -> None:
                    order.see(record)
                    stream.write(annotation.encode_record(record, results))

                yield write
            index = _index(partial, order)
        _publish_index(Path(path), index)
    except BaseException:
        if index is not None:
            index.unlink(missing_ok=True)
        raise
    if index is None:
        warn(f"{path}: the records are not sorted by position, so it has no tabix index")


@contextmanager
def _named(path: str) -> Iterator[None]:
    """Name the file where it cannot be written."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, path) from error


def _index(partial: Path, order: _Order) -> Path | None:
    if not order.sorted:
        return None
    use_csi = order.last_end > LAST_POSITION_OF_TBI
    quiet = pysam.set_verbosity(0)  # htslib speaks of POS 0, which is legal in a VCF
    index = Path(f"{partial}{'.csi' if use_csi else '.tbi'}")
    try:
        pysam.tabix_index(str(partial), preset="vcf", force=True, csi=use_csi)
    except BaseException:
        index.unlink(missing_ok=True)
        raise
    finally:
        pysam.set_verbosity(quiet)
    return index


def _publish_index(path: Path, index: Path | None) -> None:
    for suffix in (".tbi", ".csi"):
        if index is None or index.suffix != suffix:
            Path(f"{path}{suffix}").unlink(missing_ok=True)  # of a file that is gone
    if index is not None:
        index.replace(f"{path}{index.suffix}")
