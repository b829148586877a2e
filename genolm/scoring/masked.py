"""Log-likelihood ratios from a masked language model.

Substitutions (SNV, MNV): the masked marginal. The bases that differ are hidden together in one
window, and the ratio is the sum of log p(alt) - log p(ref) over them; one pass serves every
allele that changes the same positions.

Insertions and deletions: the pseudo-likelihood ratio of the two equal-length windows over the
edit and 16 bases on either side of it, the same number of positions in both. Every base there is
predicted while it and every eighth base from it are hidden, so a window takes at most 8 passes,
and about as much is hidden as in training (one in 8; 15 %).

An RC-equivariant model says the same of both strands, so one strand is computed.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from genolm.data.edit_windows import GenomeWindows, allele_ids, alt_ids, place
from genolm.genome.edits import Edit
from genolm.scoring.likelihood import MaskedWindow, ModelRunner, by_strand
from genolm.tokenization.complement import reverse_complement_ids
from genolm.tokenization.vocabulary import MASK, A, T

FLANK: Final = 16
SPACING: Final = 8

Terms = list[tuple[int, NDArray[np.int64]]]  # window number, and column 0-3 of the base per row


class _Plan:
    """Masked windows to run, each once, and how every ratio is summed from them."""

    def __init__(self) -> None:
        self.windows: list[MaskedWindow] = []
        self._known: dict[bytes, int] = {}

    def hide(self, ids: NDArray[np.uint8], positions: NDArray[np.int64]) -> int:
        """Add the window with these positions hidden and return its number."""
        masked = ids.copy()
        masked[positions] = MASK
        key = masked.tobytes()
        if key not in self._known:
            self._known[key] = len(self.windows)
            self.windows.append(MaskedWindow(masked, positions))
        return self._known[key]


class MaskedRatios:
    """Scores edits with a masked language model.

    Args:
        runner: The model.
        genome: The reference bases.
        window: Bases of every window.
        equivariant: Whether the model says the same of both strands by construction.
    """

    def __init__(
        self, runner: ModelRunner, genome: GenomeWindows, window: int, *, equivariant: bool
    ) -> None:
        self._runner = runner
        self._genome = genome
        self._window = window
        self._equivariant = equivariant

    def score(self, edits: Sequence[Edit]) -> Mapping[str, NDArray[np.float64]]:
        """Return ``llr_fwd``, ``llr_rev`` and their mean ``llr`` for every edit (edits,)."""
        return by_strand(self.ratios(edits))

    def ratios(self, edits: Sequence[Edit]) -> NDArray[np.float64]:
        """Return log-likelihood ratios (edits, 2): forward and reverse strand."""
        plan = _Plan()
        terms = [self._terms(edit, plan) for edit in edits]
        forward = self._sum(terms, self._runner.masked(plan.windows))
        if self._equivariant:
            return np.stack((forward, forward), axis=1)
        mirrored = [_mirror(window) for window in plan.windows]
        reverse = [found[:, ::-1] for found in self._runner.masked(mirrored)]
        return np.stack((forward, self._sum(terms, reverse)), axis=1)

    def _terms(self, edit: Edit, plan: _Plan) -> tuple[Terms, Terms]:
        if edit.is_substitution:
            return self._substitution(edit, plan)
        placed = place(edit, self._window, self._genome.contigs[edit.contig])
        ids = self._genome.ids(edit.contig, placed.ref, placed.ref + self._window)
        changed = alt_ids(self._genome, edit, placed.alt, self._window)
        ref = _pseudo_likelihood(ids, edit.start - placed.ref, edit.size, plan)
        return ref, _pseudo_likelihood(changed, edit.start - placed.alt, edit.size, plan)

    def _substitution(self, edit: Edit, plan: _Plan) -> tuple[Terms, Terms]:
        ref, alt = allele_ids(edit.ref), allele_ids(edit.alt)
        differ = np.flatnonzero(ref != alt)
        if not len(differ):
            return [], []
        placed = place(edit, self._window, self._genome.contigs[edit.contig])
        ids = self._genome.ids(edit.contig, placed.ref, placed.ref + self._window)
        number = plan.hide(ids, differ + (edit.start - placed.ref))
        columns = ref[differ].astype(np.int64) - A, alt[differ].astype(np.int64) - A
        return [(number, columns[0])], [(number, columns[1])]

    @staticmethod
    def _sum(
        terms: list[tuple[Terms, Terms]], found: list[NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        ratios = [_total(alt, found) - _total(ref, found) for ref, alt in terms]
        return np.array(ratios, dtype=np.float64)


def _total(terms: Terms, found: list[NDArray[np.float64]]) -> float:
    return sum(
        float(found[number][np.arange(len(columns)), columns].sum()) for number, columns in terms
    )


def _mirror(window: MaskedWindow) -> MaskedWindow:
    """Turn a window to the other strand; its positions keep their order, so rows stay aligned."""
    positions = len(window.ids) - 1 - window.positions
    return MaskedWindow(reverse_complement_ids(window.ids), positions)


def _pseudo_likelihood(ids: NDArray[np.uint8], start: int, size: int, plan: _Plan) -> Terms:
    terms: Terms = []
    for offset in range(SPACING):
        positions = np.arange(start - FLANK + offset, start + size + FLANK, SPACING)
        positions = positions[(positions >= 0) & (positions < len(ids))]
        positions = positions[(ids[positions] >= A) & (ids[positions] <= T)]
        if len(positions):
            terms.append((plan.hide(ids, positions), ids[positions].astype(np.int64) - A))
    return terms
