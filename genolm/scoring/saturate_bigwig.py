"""Write one number per base as BigWig, whole or not at all."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genolm.atomic import replace_when_done
from genolm.errors import InputError, UsageError

BIGWIG_SUFFIXES: Final = (".bw", ".bigwig")

AddValues = Callable[[str, int, NDArray[np.float64]], None]


def require_pybigtools(path: str) -> None:
    """Make sure that BigWig can be written.

    Raises:
        UsageError: pybigtools is not installed.
    """
    if find_spec("pybigtools") is None:
        raise UsageError(f"{path}: BigWig needs pybigtools: pip install 'genolm[tracks]'")


@contextmanager
def open_bigwig(path: str, contigs: Mapping[str, int]) -> Iterator[AddValues]:
    """Open a BigWig; it takes its name when the block has succeeded.

    The format wants its bases sorted, each once: they are kept until the end, 12 bytes each, and
    of a base that comes twice the first value counts. Values are float32.

    Args:
        path: The final name.
        contigs: Names and lengths.

    Yields:
        A function that takes a contig, the position of its first base (0-based) and the values
        from there on (n,), nan for a base without one.

    Raises:
        InputError: There is no value at all, for which the format has no file, or the file could
            not be written.
    """
    blocks: dict[str, list[tuple[NDArray[np.int64], NDArray[np.float32]]]] = {}

    def add(chrom: str, start: int, values: NDArray[np.float64]) -> None:
        known = ~np.isnan(values)
        if known.any():
            places = start + np.flatnonzero(known)
            blocks.setdefault(chrom, []).append((places, values[known].astype(np.float32)))

    with replace_when_done(path) as partial:
        yield add
        sites = {name: _sorted_once(blocks[name]) for name in contigs if name in blocks}
        if not sites:
            raise InputError(f"{path}: no base has a score, and a BigWig cannot be empty")
        written = partial.with_name(f"{partial.name}.bw")  # the library goes by the name's end
        try:
            _write(str(written), sites, contigs)
            _check(path, str(written), sum(len(places) for places, _ in sites.values()))
            written.replace(partial)
        finally:
            written.unlink(missing_ok=True)


Sites = tuple[NDArray[np.int64], NDArray[np.float32]]


def _sorted_once(blocks: list[Sites]) -> Sites:
    places, values = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    places, first = np.unique(places, return_index=True)
    return places, values[first]


def _write(written: str, sites: Mapping[str, Sites], contigs: Mapping[str, int]) -> None:
    import pybigtools

    rows = (
        (chrom, place, place + 1, value)
        for chrom, (places, values) in sites.items()
        for place, value in zip(places.tolist(), values.tolist(), strict=True)
    )
    pybigtools.open(written, "w").write({name: contigs[name] for name in sites}, rows)


def _check(path: str, written: str, bases: int) -> None:
    """Read the count of bases back: the library only prints what went wrong.

    Raises:
        InputError: It is not what was written.
    """
    import pybigtools

    try:
        found = int(pybigtools.open(written).info()["summary"]["basesCovered"])
    except (pybigtools.BBIReadError, OSError):
        found = 0
    if found != bases:
        raise InputError(f"{path}: the BigWig could not be written; is the disk full?")
