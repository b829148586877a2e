"""The lines of an indexed VCF that lie in given regions, without reading the rest."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from genolm.errors import InputError
from genolm.genome.regions import END_OF_ANY_CONTIG, Regions

INDEXES: Final = (".csi", ".tbi")
_ENCODING: Final = "latin-1"  # any bytes pass through


def index_of(path: str | Path) -> Path | None:
    """Return the index that stands beside a file, None where there is none."""
    places = (Path(f"{path}{suffix}") for suffix in INDEXES)
    return next((place for place in places if place.is_file()), None)


def indexed_lines(path: str | Path, index: Path, regions: Regions) -> Iterator[bytes]:
    """Yield the data lines whose POS lies in a region, without their ends, in file order.

    Args:
        path: A bgzipped VCF.
        index: Its .tbi or .csi.
        regions: Where to look.

    Raises:
        InputError: The index or the data are damaged.
    """
    import pysam

    quiet = pysam.set_verbosity(0)
    try:
        with pysam.TabixFile(str(path), index=str(index), encoding=_ENCODING) as file:
            for contig in file.contigs:
                for start, end in regions.of(contig):
                    last = None if end == END_OF_ANY_CONTIG else end
                    for line in file.fetch(contig, max(0, start), last):
                        # What only reaches into a region begins in another one or in none.
                        if start < int(line.split("\t", 2)[1]) <= end:
                            yield line.encode(_ENCODING)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read through {index.name} ({error}); make the index again, or "
            "remove it to read the whole file"
        ) from error
    finally:
        pysam.set_verbosity(quiet)
