"""Features of alleles for other models: hidden states of REF and ALT, averaged around the site.

The protocol of the eQTL task of the genomics long-range benchmark, as Caduceus and HyenaDNA were
judged by it: the last hidden states of a frozen model, of a window with the reference and of one
with the alternate allele; of each the mean over 1,537 positions, 768 on either side of the
variant, where positions outside the window are those at its ends, as often as they are asked for;
and both means side by side, reference first.

An equivariant model has states of both strands at every base, which are averaged. Other models
are read on the forward strand; with both strands, the same windows are read in reverse too, their
states turned back to the forward order, and the features of both averaged.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genolm.data.allele_windows import SitedWindow, window_pair
from genolm.data.edit_windows import GenomeWindows, place
from genolm.errors import UsageError
from genolm.genome.edits import Edit
from genolm.models.backbone import GenolmModel
from genolm.scoring.batches import BatchSize
from genolm.scoring.embeddings import SequenceEmbedder, check_finite
from genolm.tokenization.complement import reverse_complement_ids

SITE_WINDOW: Final = 1537


def site_means(states: Tensor, sites: Sequence[int], positions: int) -> Tensor:
    """Return the mean of the states around a site; outside the window its ends count again.

    Args:
        states: Hidden states (batch, length, width).
        sites: Position of the site in each window (batch,).
        positions: How many to average, an odd number.

    Returns:
        float64 (batch, width).
    """
    last = states.shape[1] - 1
    half = positions // 2
    sums = []
    for one, site in zip(states, sites, strict=True):
        inside = one[max(0, site - half) : site + half + 1].double().sum(dim=0)
        before, after = max(0, half - site), max(0, site + half - last)
        sums.append(inside + before * one[0].double() + after * one[last].double())
    return torch.stack(sums) / positions


class SiteFeatures:
    """A model and a genome, ready to turn alleles into features.

    Args:
        model: Any model; it is put into evaluation mode. A head takes no part.
        genome: The reference bases.
        window: Bases of every window; the edit stands at ``window // 2``.
        site_window: Positions averaged, an odd number.
        layer: Which of the model's ``hidden_states``; None means the final normed states.
        both_strands: Whether a model that is not equivariant reads the reverse strand too.
        batch_size: Windows a batch, or "auto".

    Attributes:
        width: Numbers of an allele, twice the model's width.
        at_once: Alleles that keep every thread busy for a while.

    Raises:
        UsageError: There is no such layer, or ``site_window`` is even.
    """

    def __init__(
        self,
        model: GenolmModel,
        genome: GenomeWindows,
        window: int,
        *,
        site_window: int = SITE_WINDOW,
        layer: int | None = None,
        both_strands: bool = False,
        batch_size: BatchSize = "auto",
    ) -> None:
        if site_window < 1 or site_window % 2 == 0:
            raise UsageError(f"--site-window {site_window}: an odd number of positions, 1 or more")
        self._embedder = SequenceEmbedder(model, layer=layer, pool="none", batch_size=batch_size)
        self._reverse = both_strands and not getattr(model.config, "rcps", False)
        self._genome = genome
        self._window = window
        self._site_window = site_window
        self.width = 2 * self._embedder.width
        self.at_once = self._embedder.batches.at_once(window)

    def compute(self, alleles: Sequence[Edit | str]) -> NDArray[np.float32]:
        """Return the features of alleles (alleles, width); nan for the reasons among them.

        Args:
            alleles: Edits, and reasons in the place of those that have no windows.

        Raises:
            ValueError: The model's numbers are not finite.
        """
        found = np.full((len(alleles), self.width), np.nan, dtype=np.float32)
        edits = [(i, one) for i, one in enumerate(alleles) if isinstance(one, Edit)]
        numbers: dict[SitedWindow, int] = {}
        pairs: list[list[int]] = []
        for _, edit in edits:
            placed = place(edit, self._window, self._genome.contigs[edit.contig])
            pair = window_pair(self._genome, edit, placed, self._window, reverse=False)
            pairs.append([numbers.setdefault(one, len(numbers)) for one in pair])
        if edits:
            means = self._means(list(numbers))
            check_finite(means)
            found[[i for i, _ in edits]] = means[np.array(pairs)].reshape(len(edits), -1)
        return found

    def _means(self, windows: Sequence[SitedWindow]) -> NDArray[np.float64]:
        """The mean states (windows, width) of windows, each read once."""
        parts = self._embedder.batches.run(self._run, windows, self._window)
        return np.concatenate(parts)

    def _run(self, batch: Sequence[SitedWindow]) -> NDArray[np.float64]:
        ids = np.stack([np.frombuffer(text, dtype=np.uint8) for text, _ in batch])
        states = self._states(ids)
        if self._reverse:
            states = (states + self._states(reverse_complement_ids(ids)).flip(1)) / 2
        means = site_means(states, [site for _, site in batch], self._site_window)
        found: NDArray[np.float64] = means.cpu().numpy()
        return found

    def _states(self, ids: NDArray[np.uint8]) -> Tensor:
        return self._embedder.states(torch.from_numpy(np.ascontiguousarray(ids)).long())
