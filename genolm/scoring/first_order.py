"""The first-order tail: what an edit does to a causal model's reading, exact only at first.

The sum of log-probabilities behind an edit is read exactly for some positions. What comes after
them depends on the edit through the model's memory alone, and is estimated to first order:

    gradient of the log-likelihood of the rest, by the memory . (memory of ALT - memory of REF)

Both the memories and the gradients come from one reading of the reference, forward and backward,
that all edits of a tile share. Memories are kept at every few positions, and the gradient is
computed piece by piece from the last to the first, each piece read again, so that memory does not
grow with what lies between them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genolm.models.causal_cache import CausalCache
from genolm.models.language import CausalLanguageModel
from genolm.modules.precision import at_least_float32
from genolm.scoring.batches import Batches, BatchSize
from genolm.scoring.likelihood import base_logs


@dataclass(frozen=True, slots=True)
class TailSizes:
    """How much of a tile is read for an edit, in positions.

    Attributes:
        window: Positions of a tile.
        span: Sites of a tile, which are those in its middle.
        spacing: From one memory that is kept to the next.
        exact: Read exactly from the edit on, at least; a multiple of the spacing.
    """

    window: int
    span: int
    spacing: int
    exact: int

    def __post_init__(self) -> None:
        """Check that what is read lies in the tile."""
        assert self.exact % self.spacing == 0
        assert self.before >= 1
        assert self.piece < self.before

    @property
    def before(self) -> int:
        """Positions of a tile on either side of its sites, or one more on the right."""
        return (self.window - self.span) // 2

    @property
    def piece(self) -> int:
        """Positions read for an edit."""
        return self.spacing + self.exact


class Change(NamedTuple):
    """A substitution in a tile: token ids ``ids`` stand from position ``first`` on."""

    first: int
    ids: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ChangedTile:
    """A stretch of the reference and what is to be changed in it.

    Attributes:
        ids: Token ids (tile,).
        changes: Each on its own.
    """

    ids: NDArray[np.uint8]
    changes: Sequence[Change]


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one reading of a batch of tiles left; all tensors end in the shapes of a cache.

    Attributes:
        memories: Before every ``spacing``-th position (places, batch, ...), tensor by tensor.
        gradients: Of the log-likelihood of what follows, by those.
        sums: Log-likelihood of the positions before each place (places, batch), but for a
            constant.
    """

    memories: tuple[Tensor, ...]
    gradients: tuple[Tensor, ...]
    sums: Tensor


class TailRunner:
    """Estimates what changes do to the log-likelihood of their tile.

    Args:
        model: In evaluation mode, and `resumable`.
        sizes: How much is read.
        batch_size: Tiles, or changes, a batch, or "auto".
    """

    def __init__(
        self, model: CausalLanguageModel, sizes: TailSizes, *, batch_size: BatchSize = "auto"
    ) -> None:
        self._model = model
        self._sizes = sizes
        self._batches = Batches(next(model.parameters()).device, batch_size)

    def run(self, tiles: Sequence[ChangedTile]) -> list[NDArray[np.float64]]:
        """Return, for each tile, log p(changed) - log p(unchanged) of its changes (changes,)."""
        # Small batches, so that every thread has one: most of the work are the changes of each.
        found = self._batches.run(self._run, tiles, 2 * self._sizes.window)
        return [ratios for some in found for ratios in some]

    def _run(self, tiles: Sequence[ChangedTile]) -> list[NDArray[np.float64]]:
        with torch.inference_mode(False), torch.no_grad():
            ids = torch.from_numpy(np.stack([tile.ids for tile in tiles]))
            reading = self._read(ids.to(self._batches.device).long())
            rows = [row for row, tile in enumerate(tiles) for _ in tile.changes]
            changes = [change for tile in tiles for change in tile.changes]
            size = self._batches.size(self._sizes.piece)
            ratios = [np.zeros(0)]
            for start in range(0, len(changes), size):
                some = slice(start, start + size)
                pieces = self._pieces(tiles, rows[some], changes[some])
                ratios.append(self._ratios(reading, rows[some], *pieces))
        ends = np.cumsum([len(tile.changes) for tile in tiles])
        return np.split(np.concatenate(ratios), ends[:-1])

    def _read(self, ids: Tensor) -> _Reading:
        """Read tiles (batch, tile) forward, then piece by piece backward."""
        step, last = self._sizes.spacing, ids.shape[1] - 1
        places = range(0, last, step)
        caches = [self._model.remember(ids[:, :0])]
        for place in places[:-1]:
            caches.append(self._model.remember(ids[:, place : place + step], caches[-1]))
        gradients: list[tuple[Tensor, ...]] = []
        sums: list[Tensor] = []
        for place, cache in zip(reversed(places), reversed(caches), strict=True):
            piece = ids[:, place : min(place + step, last) + 1]
            logs, found = self._differentiate(piece, cache, gradients[-1] if gradients else None)
            gradients.append(found)
            sums.append(logs)
        before = torch.stack(sums[::-1]).cumsum(0)
        return _Reading(
            memories=_stack([cache.tensors for cache in caches]),
            gradients=_stack(gradients[::-1]),
            sums=torch.cat((torch.zeros_like(before[:1]), before[:-1])),
        )

    def _differentiate(
        self, piece: Tensor, cache: CausalCache, after: tuple[Tensor, ...] | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Differentiate the log-likelihood of a piece and all that follows by what came before.

        Args:
            piece: Token ids and the one that follows them (batch, length + 1).
            cache: What is remembered before it.
            after: The gradient by what is remembered after it; None at the end.

        Returns:
            Log-likelihood of the piece alone (batch,), float64; and the gradient.
        """
        with torch.enable_grad():
            start = cache.each(lambda tensor: tensor.detach().requires_grad_())
            logits, end = self._model.resume(piece[:, :-1], start)
            logs = base_logs(at_least_float32(logits), piece[:, 1:]).double().sum(1)
            total = logs.sum()
            for tensor, gradient in zip(end.tensors, after or (), strict=False):
                total = total + (tensor * gradient).sum()
            found = torch.autograd.grad(total, start.tensors, allow_unused=True)
        pairs = zip(found, start.tensors, strict=True)
        return logs.detach(), tuple(
            torch.zeros_like(tensor) if gradient is None else gradient for gradient, tensor in pairs
        )

    def _pieces(
        self, tiles: Sequence[ChangedTile], rows: Sequence[int], changes: Sequence[Change]
    ) -> tuple[NDArray[np.int64], Tensor]:
        """For each change the place where its piece begins, and the changed ids and one more."""
        step, length = self._sizes.spacing, self._sizes.piece + 1
        places = np.array([(change.first - 1) // step for change in changes], dtype=np.int64)
        ids = np.empty((len(changes), length), dtype=np.int64)
        for piece, row, change, place in zip(ids, rows, changes, places * step, strict=True):
            piece[:] = tiles[row].ids[place : place + length]
            begin = change.first - place
            piece[begin : begin + len(change.ids)] = change.ids
        return places, torch.from_numpy(ids).to(self._batches.device)

    def _ratios(
        self, reading: _Reading, rows: Sequence[int], places: NDArray[np.int64], pieces: Tensor
    ) -> NDArray[np.float64]:
        row = torch.tensor(rows, device=pieces.device)
        begin = torch.from_numpy(places).to(pieces.device)
        end = begin + self._sizes.piece // self._sizes.spacing
        cache = CausalCache.of([tensor[begin, row] for tensor in reading.memories])
        logits, after = self._model.resume(pieces[:, :-1], cache)
        ratio = base_logs(at_least_float32(logits), pieces[:, 1:]).double().sum(1)
        ratio -= reading.sums[end, row] - reading.sums[begin, row]
        memories = zip(after.tensors, reading.memories, reading.gradients, strict=True)
        for changed, unchanged, gradient in memories:
            moved = (changed - unchanged[end, row]) * gradient[end, row]
            ratio += moved.flatten(1).double().sum(1)
        return ratio.cpu().numpy()


def _stack(places: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Tensors of every place as (places, batch, ...)."""
    return tuple(torch.stack(some) for some in zip(*places, strict=True))
