"""Run segments of tiles: log-probabilities of hidden bases, batch by batch."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from genolm.models.backbone import GenolmModel
from genolm.models.seeded import Reading, SeededModel, Segments
from genolm.scoring.batches import Batches, BatchSize
from genolm.scoring.tiling import Segment
from genolm.tokenization.vocabulary import BASE_IDS, MASK

MOST_BYTES: Final = 1 << 26  # of what is remembered of the tiles that one thread reads


class HiddenSite(NamedTuple):
    """Bases of a tile that are hidden together.

    Attributes:
        positions: Where they are in the tile, ascending.
        segment: What is run again around them.
    """

    positions: tuple[int, ...]
    segment: Segment


class Tile(NamedTuple):
    """A stretch of the genome that is read once.

    Attributes:
        ids: Token ids (window,).
        sites: What is hidden in it, one after the other.
    """

    ids: NDArray[np.uint8]
    sites: Sequence[HiddenSite]


class _Batch(NamedTuple):
    """Segments of one length out of tiles that were read together."""

    reading: Reading
    tiles: Sequence[Tile]
    sites: Sequence[tuple[int, HiddenSite]]  # the tile's number, and what is hidden
    numbers: Sequence[int]  # where the results belong


class SegmentRunner:
    """Runs a bidirectional masked Mamba model by segments.

    Args:
        model: In evaluation mode.
        batch_size: Tiles or segments a batch, or "auto".
        places: How many places of a tile are remembered, about.
    """

    def __init__(self, model: GenolmModel, batch_size: BatchSize, places: int) -> None:
        self._model = SeededModel(model)
        self._device = next(model.parameters()).device
        self._batches = Batches(self._device, batch_size)
        self._most_tiles = max(1, MOST_BYTES // (places * self._model.bytes_a_place()))

    def run(self, tiles: Sequence[Tile]) -> list[list[NDArray[np.float64]]]:
        """Return the log-probabilities of A, C, G, T at every hidden position.

        Args:
            tiles: All of one length, each with a site at least.

        Returns:
            For each site of each tile an array (positions, 4).
        """
        if not tiles:
            return []
        length = len(tiles[0].ids)
        size = min(self._batches.size(length), self._most_tiles)
        reads = Batches(self._device, size)
        # So many that every thread has some to read, and no more are remembered than need be.
        at_once = size * (torch.get_num_threads() if self._device.type == "cpu" else 1)
        found: list[list[NDArray[np.float64]]] = []
        for start in range(0, len(tiles), at_once):
            some = tiles[start : start + at_once]
            groups = [some[first : first + size] for first in range(0, len(some), size)]
            readings = reads.run(self._read, some, length)
            for group, reading in zip(groups, readings, strict=True):
                found += self._segments(group, reading)
        return found

    def _read(self, tiles: Sequence[Tile]) -> Reading:
        segments = [site.segment for tile in tiles for site in tile.sites]
        ids = torch.from_numpy(np.stack([tile.ids for tile in tiles])).to(self._device).long()
        starts = {one.start for one in segments}
        return self._model.read(ids, starts, {one.start + one.length for one in segments})

    def _segments(
        self, tiles: Sequence[Tile], reading: Reading
    ) -> Iterator[list[NDArray[np.float64]]]:
        batches = list(self._batch(tiles, reading))
        results = Batches(self._device, 1).run(lambda one: self._bases(one[0]), batches, 1)
        flat: dict[int, NDArray[np.float64]] = {}
        for batch, result in zip(batches, results, strict=True):
            flat |= zip(batch.numbers, result, strict=True)
        number = 0
        for tile in tiles:
            yield [flat[i] for i in range(number, number + len(tile.sites))]
            number += len(tile.sites)

    def _batch(self, tiles: Sequence[Tile], reading: Reading) -> Iterator[_Batch]:
        sites = [(number, site) for number, tile in enumerate(tiles) for site in tile.sites]
        by_length: defaultdict[int, list[int]] = defaultdict(list)
        for number, (_, site) in enumerate(sites):
            by_length[site.segment.length].append(number)
        for length, numbers in by_length.items():
            size = self._batches.size(length)
            for first in range(0, len(numbers), size):
                some = numbers[first : first + size]
                yield _Batch(reading, tiles, [sites[number] for number in some], some)

    def _bases(self, batch: _Batch) -> list[NDArray[np.float64]]:
        counts = [len(site.positions) for _, site in batch.sites]
        rows = np.repeat(np.arange(len(counts)), counts)
        ids = np.stack(
            [
                batch.tiles[tile].ids[site.segment.start :][: site.segment.length]
                for tile, site in batch.sites
            ]
        )
        columns = np.concatenate(
            [np.array(site.positions) - site.segment.start for _, site in batch.sites]
        )
        ids[rows, columns] = MASK
        starts = [site.segment.start for _, site in batch.sites]
        arrays = (ids.astype(np.int64), [tile for tile, _ in batch.sites], starts, rows, columns)
        segments = Segments(*(torch.as_tensor(one, device=self._device) for one in arrays))
        logits = self._model.logits(segments, batch.reading)
        found = torch.log_softmax(logits, dim=-1)[:, BASE_IDS[0] : BASE_IDS[-1] + 1]
        return np.split(found.double().cpu().numpy(), np.cumsum(counts)[:-1])
