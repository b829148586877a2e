"""Log-likelihood ratios from a causal language model.

The ratio is log p(ALT window) - log p(REF window). What a strand reads before the edit is the
same in both windows and cancels, so the sums begin at the first changed base; only where the end
of a contig moved one of the windows do they run over the whole of both. Position 0 of a window is
never predicted: there is nothing before it. The reference window of a site is read once for all
its alleles.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from genolm.data.edit_windows import GenomeWindows, alt_ids, place
from genolm.genome.edits import Edit
from genolm.scoring.likelihood import ModelRunner, SequenceWindow, by_strand
from genolm.tokenization.complement import reverse_complement_ids

Pair = tuple[int, int]  # numbers of the REF and of the ALT window


class _Plan:
    """Windows to run, each once."""

    def __init__(self) -> None:
        self.windows: list[SequenceWindow] = []
        self._known: dict[tuple[bytes, int], int] = {}

    def add(self, ids: NDArray[np.uint8], first: int) -> int:
        """Add a window and return its number."""
        key = (ids.tobytes(), first)
        if key not in self._known:
            self._known[key] = len(self.windows)
            self.windows.append(SequenceWindow(ids, first))
        return self._known[key]


class CausalRatios:
    """Scores edits with a causal language model.

    Args:
        runner: The model.
        genome: The reference bases.
        window: Bases of every window.
    """

    def __init__(self, runner: ModelRunner, genome: GenomeWindows, window: int) -> None:
        self._runner = runner
        self._genome = genome
        self._window = window

    def score(self, edits: Sequence[Edit]) -> Mapping[str, NDArray[np.float64]]:
        """Return ``llr_fwd``, ``llr_rev`` and their mean ``llr`` for every edit (edits,)."""
        return by_strand(self.ratios(edits))

    def ratios(self, edits: Sequence[Edit]) -> NDArray[np.float64]:
        """Return log-likelihood ratios (edits, 2): forward and reverse strand."""
        plan = _Plan()
        pairs = [self._pairs(edit, plan) for edit in edits]
        found = self._runner.sequences(plan.windows)
        numbers = np.array(pairs, dtype=np.int64).reshape(len(edits), 2, 2)
        ratios: NDArray[np.float64] = found[numbers[..., 1]] - found[numbers[..., 0]]
        return ratios

    def _pairs(self, edit: Edit, plan: _Plan) -> tuple[Pair, Pair]:
        placed = place(edit, self._window, self._genome.contigs[edit.contig])
        forward = self._pair(edit, placed.ref, placed.alt, plan, reverse=False)
        return forward, self._pair(edit, placed.ref_reverse, placed.alt_reverse, plan, reverse=True)

    def _pair(self, edit: Edit, ref: int, alt: int, plan: _Plan, *, reverse: bool) -> Pair:
        ids = self._genome.ids(edit.contig, ref, ref + self._window)
        changed = alt_ids(self._genome, edit, alt, self._window)
        before = edit.start - ref, edit.start - alt
        if reverse:
            ids, changed = reverse_complement_ids(ids), reverse_complement_ids(changed)
            before = (
                self._window - before[0] - len(edit.ref),
                self._window - before[1] - len(edit.alt),
            )
        first = before[0] if before[0] == before[1] else 0
        return plan.add(ids, first), plan.add(changed, first)
