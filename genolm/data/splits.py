"""Which windows are for training, for validation and for the test: never the same bases twice."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from genolm.data.bed_layout import BedLayout, lay_out
from genolm.data.genome_store import GenomeStore
from genolm.data.overlap import check_disjoint
from genolm.data.windows import WindowSet, from_regions
from genolm.errors import InputError, UsageError
from genolm.genome.aliases import resolve_contigs
from genolm.genome.bed import read_bed, read_split_bed
from genolm.genome.interval import Interval

SPLITS: Final = ("train", "valid", "test")
HELD_OUT_ONE_IN: Final = 10
_SHOWN: Final = 20

Names = Sequence[str | int]
Regions = dict[str, list[Interval]]


def resolve_chroms(names: Names, contigs: Mapping[str, int], key: str = "contigs") -> list[str]:
    """Return the genome's own names for contigs given by any usual name.

    Args:
        names: Names or numbers, such as ``"chr1"`` or ``1``.
        contigs: Length of each contig of the genome.
        key: What the message calls the list, such as ``data.train``.

    Raises:
        UsageError: A name that the genome does not have (its contigs are listed), or one twice.
    """
    wanted = [str(name) for name in names]
    found = resolve_contigs(wanted, contigs)
    chosen: list[str] = []
    for name in wanted:
        own = found[name]
        if own is None:
            known = ", ".join(list(contigs)[:_SHOWN])
            more = f" and {len(contigs) - _SHOWN:,} more" if len(contigs) > _SHOWN else ""
            raise UsageError(f"{key}: the genome has no contig {name!r}; it has {known}{more}")
        if own in chosen:
            raise UsageError(f"{key}: contig {own} is named twice")
        chosen.append(own)
    return chosen


def _name_parts(contigs: Mapping[str, int], named: Mapping[str, Names | None]) -> dict[str, str]:
    """Return the split of each contig that has one by name."""
    split_of: dict[str, str] = {}
    for split in SPLITS:
        names = named[split]
        for chrom in [] if names is None else resolve_chroms(names, contigs, f"data.{split}"):
            if chrom in split_of:
                raise UsageError(
                    f"data.{split}: contig {chrom} is already in data.{split_of[chrom]}; what is"
                    " trained on cannot be held out"
                )
            split_of[chrom] = split
    return split_of


def split_contigs(
    contigs: Mapping[str, int],
    *,
    train: Names | None = None,
    valid: Names | None = None,
    test: Names | None = None,
) -> Regions:
    """Return the regions of each split.

    Contigs named for ``valid`` and ``test`` are held out whole; ``train`` is the rest when it is
    not given. Where ``test`` is not given it is the last 10 % of each train contig, and where
    ``valid`` is not given the 10 % before that.

    Raises:
        UsageError: An unknown contig, or one in two splits.
    """
    named = {"train": train, "valid": valid, "test": test}
    split_of = _name_parts(contigs, named)
    if train is None:
        split_of |= {chrom: "train" for chrom in contigs if chrom not in split_of}
    regions: Regions = {split: [] for split in SPLITS}
    for chrom in contigs:
        if chrom in split_of:
            regions[split_of[chrom]].append(Interval(chrom, 0, contigs[chrom]))
    for split in ("test", "valid"):
        if named[split] is None:
            regions |= _hold_out_ends(regions["train"], contigs, split)
    return regions


def _hold_out_ends(train: list[Interval], contigs: Mapping[str, int], split: str) -> Regions:
    borders = [region.end - contigs[region.chrom] // HELD_OUT_ONE_IN for region in train]
    pairs = list(zip(train, borders, strict=True))
    return {
        "train": [replace(region, end=border) for region, border in pairs],
        split: [replace(region, start=border) for region, border in pairs],
    }


def _has_splits(rows: Sequence[Interval]) -> bool:
    return any(row.name in SPLITS for row in rows)


def _bed_splits(bed: Path, contigs: Mapping[str, int], length: int, layout: BedLayout) -> Regions:
    whole = [Interval(chrom, 0, size) for chrom, size in contigs.items()]
    rows = read_split_bed(bed, contigs=contigs)
    unknown = [name for name in rows if name not in SPLITS]
    if unknown:
        raise InputError(f"{bed}: a split is called {unknown[0]!r}; they are {', '.join(SPLITS)}")
    if missing := [split for split in SPLITS if split not in rows]:
        raise InputError(f"{bed}: no row of {' or '.join(missing)}; each split needs one")
    return {split: lay_out(rows.get(split, []), whole, length, layout) for split in SPLITS}


def _find_regions(
    contigs: Mapping[str, int],
    length: int,
    named: Mapping[str, Names | None],
    bed: Path | None,
    layout: BedLayout,
) -> Regions:
    rows = None if bed is None else read_bed(bed, contigs=contigs)
    if bed is not None and rows is not None and _has_splits(rows):
        given = [f"data.{split}" for split in SPLITS if named[split] is not None]
        if given:
            raise UsageError(
                f"{bed} has its own train/valid/test column; leave out {' and '.join(given)}"
            )
        return _bed_splits(bed, contigs, length, layout)
    parts = split_contigs(contigs, **named)
    if rows is None:
        return parts
    return {split: lay_out(rows, regions, length, layout) for split, regions in parts.items()}


def make_splits(
    store: GenomeStore,
    length: int,
    *,
    stride: int | None = None,
    train: Names | None = None,
    valid: Names | None = None,
    test: Names | None = None,
    bed: str | Path | None = None,
    bed_windows: BedLayout = "tile",
    max_n_fraction: float = 0.1,
    may_overlap: bool = False,
) -> dict[str, WindowSet]:
    """Cut a genome into the windows of ``train``, ``valid`` and ``test``.

    Args:
        store: The genome.
        length: Bases of a window.
        stride: Bases between the starts of train windows; None for ``length``. Held-out windows
            of one stretch never overlap.
        train: Contigs, by any usual name; see :func:`split_contigs` for what None means.
        valid: Likewise.
        test: Likewise.
        bed: Regions to stay in; a 4th column of train, valid and test makes the split.
        bed_windows: What its rows mean; see :func:`genolm.data.bed_layout.lay_out`.
        max_n_fraction: Windows with a larger share of N are left out.
        may_overlap: Let splits share bases; :func:`genolm.data.overlap.find_overlaps` tells which.

    Returns:
        The three sets, none of them empty.

    Raises:
        UsageError: An unknown contig, or one in two splits.
        InputError: A split without a window, or two that share bases.
    """
    named = {"train": train, "valid": valid, "test": test}
    regions = _find_regions(
        store.contigs, length, named, None if bed is None else Path(bed), bed_windows
    )
    splits: dict[str, WindowSet] = {}
    for split in SPLITS:
        windows = from_regions(regions[split], length, stride if split == "train" else None)
        splits[split] = windows.filter_by_n(store, max_n_fraction).require(split)
    if not may_overlap:
        check_disjoint(splits)
    return splits
