"""A screening score: every substitution of a window from one reading of it and one gradient.

Only a few positions from a substitution on are read exactly, the rest is estimated to first order
(see ``genolm.scoring.first_order``). Sites share tiles that begin at fixed places of the genome,
where a site has three eighths of a window on either side at least: numbers depend on the genome
alone, and where a contig ends there is N. It ranks variants; it does not measure them:
``benchmarks/causal.py screen`` prints how near it comes. Insertions, deletions and long
substitutions are scored exactly.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genolm.data.edit_windows import GenomeWindows, allele_ids
from genolm.errors import UsageError
from genolm.genome.edits import Edit
from genolm.models.backbone import GenolmModel
from genolm.models.language import CausalLanguageModel
from genolm.scoring.batches import BatchSize
from genolm.scoring.causal import CausalRatios
from genolm.scoring.first_order import Change, ChangedTile, TailRunner, TailSizes
from genolm.scoring.prefix import causal_runner
from genolm.tokenization.complement import reverse_complement_ids

EXACT: Final = 16  # positions read exactly, and from one memory that is kept to the next

SCREENED_AT_ONCE: Final = 1 << 13  # alleles: some dozens of tiles where every base has three

Place = tuple[str, int]  # contig and start of a tile


def screen_sizes(window: int) -> TailSizes:
    """Return how much is read of windows of so many bases."""
    exact = max(1, min(EXACT, window // 8))
    return TailSizes(window, max(1, window // 4), spacing=exact, exact=exact)


class TiledTails:
    """First-order ratios of substitutions, in tiles that neighbours share.

    Args:
        model: A causal model that is `resumable`.
        genome: The reference bases.
        sizes: How much is read.
        batch_size: Tiles a batch, or "auto".
    """

    def __init__(
        self,
        model: CausalLanguageModel,
        genome: GenomeWindows,
        sizes: TailSizes,
        *,
        batch_size: BatchSize = "auto",
    ) -> None:
        self._genome = genome
        self._sizes = sizes
        self._runner = TailRunner(model, sizes, batch_size=batch_size)

    def takes(self, edit: Edit) -> bool:
        """Whether an edit is a substitution that is short enough."""
        return edit.is_substitution and 0 < edit.size <= self._sizes.exact

    def place(self, edit: Edit) -> Place:
        """Return the tile of an edit; its start may lie before the contig."""
        first = edit.start // self._sizes.span * self._sizes.span
        return edit.contig, first - self._sizes.before

    def ratios(self, edits: Sequence[Edit]) -> NDArray[np.float64]:
        """Return log-likelihood ratios (edits, 2) of edits that it takes, on either strand."""
        places: dict[Place, list[int]] = defaultdict(list)
        for number, edit in enumerate(edits):
            places[self.place(edit)].append(number)
        tiles = [_Tile.of(self._genome, self._sizes, edits, *one) for one in places.items()]
        found = np.zeros((len(edits), 2))
        ratios = iter(self._runner.run([one for tile in tiles for one in tile.strands]))
        for tile in tiles:
            for strand in (0, 1):
                found[tile.numbers, strand] = next(ratios)
        return found


class _Tile(NamedTuple):
    """A tile on both strands, with the numbers of its edits."""

    numbers: list[int]
    strands: tuple[ChangedTile, ChangedTile]

    @classmethod
    def of(
        cls,
        genome: GenomeWindows,
        sizes: TailSizes,
        edits: Sequence[Edit],
        place: Place,
        numbers: list[int],
    ) -> "_Tile":
        contig, start = place
        ids = genome.ids(contig, start, start + sizes.window)
        forward, reverse = [], []
        for number in numbers:
            first, changed = edits[number].start - start, allele_ids(edits[number].alt)
            forward.append(Change(first, changed))
            mirrored = sizes.window - first - len(changed)
            reverse.append(Change(mirrored, reverse_complement_ids(changed)))
        other = reverse_complement_ids(ids)
        return cls(numbers, (ChangedTile(ids, forward), ChangedTile(other, reverse)))


class ScreenRatios:
    """Ranks substitutions by a causal model.

    Args:
        model: A causal model in evaluation mode.
        genome: The reference bases.
        window: Bases of a tile.
        batch_size: Tiles a batch, or "auto".

    Raises:
        UsageError: The model does not remember what it read in constant memory.
    """

    def __init__(
        self,
        model: GenolmModel,
        genome: GenomeWindows,
        window: int,
        *,
        batch_size: BatchSize = "auto",
    ) -> None:
        if not (isinstance(model, CausalLanguageModel) and model.resumable):
            raise UsageError(
                "--scores screen needs a causal Mamba model; others have llr and wild_type"
            )
        sizes = screen_sizes(window)
        self._tails = TiledTails(model, genome, sizes, batch_size=batch_size)
        self._exact = CausalRatios(causal_runner(model, batch_size=batch_size), genome, window)

    def score(self, edits: Sequence[Edit]) -> Mapping[str, NDArray[np.float64]]:
        """Return ``screen`` for every edit (edits,)."""
        taken: dict[bool, list[int]] = {True: [], False: []}
        for number, edit in enumerate(edits):
            taken[self._tails.takes(edit)].append(number)
        ratios = np.zeros((len(edits), 2))
        ratios[taken[True]] = self._tails.ratios([edits[number] for number in taken[True]])
        ratios[taken[False]] = self._exact.ratios([edits[number] for number in taken[False]])
        return {"screen": ratios.mean(axis=1)}
