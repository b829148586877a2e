"""The seeded window: masked marginals of neighbouring sites from one reading of their tile.

Substitutions are scored as in `genolm.scoring.masked`, but for two things. The window is a tile
that neighbouring sites share, so that a site is a little off its middle; and only a segment around
the hidden bases is run for each site, from what the model remembered of the tile at its ends. Both
errors are measured together, against the exact score (see `genolm.scoring.seeded_calibration`).

A tile whose sites are too few for that to pay, insertions and deletions, and substitutions longer
than a stride are scored exactly. Which of the two it was can depend on what else is scored.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genolm.data.edit_windows import allele_ids
from genolm.genome.edits import Edit
from genolm.scoring.fast_parts import FastParts
from genolm.scoring.likelihood import by_strand
from genolm.scoring.segments import HiddenSite, SegmentRunner, Tile
from genolm.scoring.tiling import Tiling
from genolm.tokenization.complement import reverse_complement_ids
from genolm.tokenization.vocabulary import A

Place = tuple[str, int]  # contig and start of a tile


class _Allele(NamedTuple):
    """A substitution: its number, its tile and site, and columns 0-3 of its bases."""

    number: int
    place: Place
    site: HiddenSite
    ref: NDArray[np.int64]
    alt: NDArray[np.int64]


class SeededRatios:
    """Scores edits by segments where that pays, and exactly where not.

    Args:
        parts: The model, the genome and the exact score.
        tiling: How sites share work.
        always: Whether sites share their tile even where it does not pay.

    Attributes:
        counts: How many edits were scored by ``segments`` and by full ``passes``.
    """

    def __init__(self, parts: FastParts, tiling: Tiling, *, always: bool = False) -> None:
        self._parts = parts
        self._tiling = tiling
        self._always = always
        self._runner = SegmentRunner(parts.model, parts.batch_size, tiling.places)
        self.counts: Counter[str] = Counter()

    def score(self, edits: Sequence[Edit]) -> Mapping[str, NDArray[np.float64]]:
        """Return ``llr_fwd``, ``llr_rev`` and their mean ``llr`` for every edit (edits,)."""
        alleles = [self._allele(number, edit) for number, edit in enumerate(edits)]
        shared = self._sharing([one for one in alleles if one is not None])
        ratios = np.zeros((len(edits), 2))
        for allele, ratio in zip(shared, self._ratios(shared), strict=True):
            ratios[allele.number] = ratio
        rest = sorted(set(range(len(edits))) - {one.number for one in shared})
        if rest:
            exact = self._parts.exact.score([edits[number] for number in rest])
            ratios[rest] = np.stack((exact["llr_fwd"], exact["llr_rev"]), axis=1)
        self.counts.update(segments=len(shared), passes=len(rest))
        return by_strand(ratios)

    def _allele(self, number: int, edit: Edit) -> _Allele | None:
        """Find the tile and the segment of an edit; None for one that needs a pass of its own."""
        if not edit.is_substitution or not 0 < edit.size <= self._tiling.stride:
            return None
        ref, alt = allele_ids(edit.ref), allele_ids(edit.alt)
        differ = np.flatnonzero(ref != alt)
        length = self._parts.genome.contigs[edit.contig]
        tile = self._tiling.tile(edit.start + edit.size // 2, length)
        positions = tuple((differ + (edit.start - tile)).tolist())
        site = HiddenSite(positions, self._tiling.segment(positions[0], positions[-1]))
        columns = (ids[differ].astype(np.int64) - A for ids in (ref, alt))
        return _Allele(number, (edit.contig, tile), site, *columns)

    def _sharing(self, alleles: Sequence[_Allele]) -> list[_Allele]:
        """The alleles of tiles that pay, tile by tile."""
        places: defaultdict[Place, list[_Allele]] = defaultdict(list)
        for allele in alleles:
            places[allele.place].append(allele)
        return [one for some in places.values() if self._pays(some) for one in some]

    def _pays(self, alleles: Sequence[_Allele]) -> bool:
        sites = {one.site for one in alleles}
        length = sum(site.segment.length for site in sites)
        return self._always or self._tiling.pays(len(sites), length)

    def _ratios(self, alleles: Sequence[_Allele]) -> NDArray[np.float64]:
        """Ratios (alleles, 2) on the forward and the reverse strand."""
        sites: defaultdict[Place, dict[HiddenSite, int]] = defaultdict(dict)
        for one in alleles:
            sites[one.place].setdefault(one.site, len(sites[one.place]))
        numbers = {place: number for number, place in enumerate(sites)}
        window = self._tiling.window
        tiles = [
            Tile(self._parts.genome.ids(contig, start, start + window), list(hidden))
            for (contig, start), hidden in sites.items()
        ]
        forward = self._runner.run(tiles)
        reverse = forward if self._parts.equivariant else self._other_strand(tiles)
        found = np.zeros((len(alleles), 2))
        for i, one in enumerate(alleles):
            tile, site = numbers[one.place], sites[one.place][one.site]
            rows = np.arange(len(one.ref))
            for strand, bases in enumerate((forward, reverse)):
                table = bases[tile][site]
                found[i, strand] = (table[rows, one.alt] - table[rows, one.ref]).sum()
        return found

    def _other_strand(self, tiles: Sequence[Tile]) -> list[list[NDArray[np.float64]]]:
        mirrored = [
            Tile(reverse_complement_ids(tile.ids), [self._mirror(site) for site in tile.sites])
            for tile in tiles
        ]
        # Positions are told in the order of the other strand, and so are bases.
        return [[found[::-1, ::-1] for found in some] for some in self._runner.run(mirrored)]

    def _mirror(self, site: HiddenSite) -> HiddenSite:
        window, (start, length) = self._tiling.window, site.segment
        positions = tuple(window - 1 - position for position in reversed(site.positions))
        return HiddenSite(positions, site.segment._replace(start=window - length - start))
