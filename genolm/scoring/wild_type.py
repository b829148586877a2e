"""Log-likelihood ratios under the unchanged reference: one pass for all variants of a window.

The bases of a contig are read in windows that begin at every multiple of half their length, and a
substitution is judged in the one that shows most on either side of it: log p(ALT base) -
log p(REF base) at each changed position, with nothing hidden and nothing changed. Windows depend
on the genome alone, never on the variants asked for, so the numbers do not depend on what else is
scored. For a masked model this is the wild-type marginal (Meier et al. 2021, section 3): it sees
the REF base, and was trained on few bases that it sees.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from genolm.data.edit_windows import GenomeWindows, allele_ids, window_start
from genolm.genome.edits import Edit
from genolm.scoring.likelihood import ModelRunner
from genolm.tokenization.complement import reverse_complement_ids
from genolm.tokenization.vocabulary import A

Place = tuple[str, int]  # contig and start of a window


class WildTypeRatios:
    """Scores substitutions with a language model that reads the reference alone.

    Args:
        runner: The model.
        genome: The reference bases.
        window: Bases of every window.
        causal: Whether the model predicts a base from those before it.
        equivariant: Whether the model says the same of both strands by construction.
    """

    def __init__(
        self,
        runner: ModelRunner,
        genome: GenomeWindows,
        window: int,
        *,
        causal: bool,
        equivariant: bool,
    ) -> None:
        self._runner = runner
        self._genome = genome
        self._window = window
        self._causal = causal
        self._equivariant = equivariant
        self._known: dict[Place, NDArray[np.float64]] = {}

    def score(self, edits: Sequence[Edit]) -> Mapping[str, NDArray[np.float64]]:
        """Return the ratio of every edit (edits,); NaN for insertions and deletions."""
        places = [self._place(edit) if edit.is_substitution else None for edit in edits]
        wanted = dict.fromkeys(place for place in places if place is not None)
        # Neighbouring chunks share at most the windows of one stretch: older ones are let go.
        self._known = {place: self._known[place] for place in wanted if place in self._known}
        missing = [place for place in wanted if place not in self._known]
        self._known |= zip(missing, self._read(missing), strict=True)
        ratios = [
            np.nan if place is None else self._ratio(edit, place)
            for edit, place in zip(edits, places, strict=True)
        ]
        return {"wild_type": np.array(ratios, dtype=np.float64)}

    def _place(self, edit: Edit) -> Place:
        step = max(1, self._window // 2)
        centred = edit.start + len(edit.ref) // 2 - self._window // 2
        start = round(centred / step) * step
        return edit.contig, window_start(start, self._window, self._genome.contigs[edit.contig])

    def _ratio(self, edit: Edit, place: Place) -> float:
        ref, alt = allele_ids(edit.ref), allele_ids(edit.alt)
        differ = np.flatnonzero(ref != alt)
        rows = self._known[place][differ + (edit.start - place[1])]
        ratios = rows[np.arange(len(differ)), alt[differ].astype(np.int64) - A]
        ratios = ratios - rows[np.arange(len(differ)), ref[differ].astype(np.int64) - A]
        return float(ratios.sum())

    def _read(self, places: Sequence[Place]) -> list[NDArray[np.float64]]:
        """The log-probabilities of A, C, G, T at every base, mean of both strands: (window, 4)."""
        ids = [self._genome.ids(contig, start, start + self._window) for contig, start in places]
        forward = self._runner.bases(ids, shifted=self._causal)
        if self._equivariant:
            return forward
        mirrored = self._runner.bases(
            [reverse_complement_ids(one) for one in ids], shifted=self._causal
        )
        return [(one + other[::-1, ::-1]) / 2 for one, other in zip(forward, mirrored, strict=True)]
