"""How far an allele moves a model's hidden states.

The REF and the ALT window of an edit are those of the likelihood ratios, of equal length, so that
neither padding nor length is measured. Distances are taken between the means of the windows'
states, and between the states at the edit: at its first changed base, or, where an allele has
none there, at the base that follows. They are computed in float64 from the model's own numbers.
An equivariant model has states of both strands at every base, and their mean is compared; other
models read each strand by itself, and the two distances are averaged.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from genolm.data.allele_windows import SitedWindow, window_pair
from genolm.data.edit_windows import GenomeWindows, place
from genolm.genome.edits import Edit
from genolm.models.backbone import GenolmModel
from genolm.scoring.batches import BatchSize
from genolm.scoring.embeddings import SequenceEmbedder


class Distances:
    """Scores edits with the hidden states of a model.

    Args:
        model: Any model; a head takes no part.
        genome: The reference bases.
        window: Bases of every window.
        layer: Which of the model's ``hidden_states``; None means the final normed states.
        batch_size: Windows a batch, or "auto".

    Raises:
        UsageError: There is no such layer.
    """

    def __init__(
        self,
        model: GenolmModel,
        genome: GenomeWindows,
        window: int,
        *,
        layer: int | None = None,
        batch_size: BatchSize = "auto",
    ) -> None:
        self._embedder = SequenceEmbedder(model, layer=layer, pool="none", batch_size=batch_size)
        self._equivariant = bool(getattr(model.config, "rcps", False))
        self._genome = genome
        self._window = window

    def score(self, edits: Sequence[Edit]) -> Mapping[str, NDArray[np.float64]]:
        """Return each kind of distance for every edit (edits,)."""
        numbers: dict[SitedWindow, int] = {}
        pairs = [
            [tuple(numbers.setdefault(one, len(numbers)) for one in pair) for pair in pairs]
            for pairs in map(self._pairs, edits)
        ]
        means, sites = self._read(list(numbers))
        strands = 1 if self._equivariant else 2
        index = np.array(pairs, dtype=np.int64).reshape(len(edits), strands, 2)
        found: dict[str, NDArray[np.float64]] = {}
        for name, vectors in (("dist", means), ("dist_site", sites)):
            ref, alt = vectors[index[..., 0]], vectors[index[..., 1]]
            found[name] = np.linalg.norm(alt - ref, axis=-1).mean(axis=1)
            found[f"{name}_cosine"] = _cosine(ref, alt).mean(axis=1)
        return found

    def _pairs(self, edit: Edit) -> list[tuple[SitedWindow, SitedWindow]]:
        placed = place(edit, self._window, self._genome.contigs[edit.contig])
        strands = (False,) if self._equivariant else (False, True)
        return [
            window_pair(self._genome, edit, placed, self._window, reverse=reverse)
            for reverse in strands
        ]

    def _read(
        self, windows: Sequence[SitedWindow]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The mean and the site's states (windows, width) of windows, each run once."""

        def run(batch: Sequence[SitedWindow]) -> NDArray[np.float64]:
            ids = np.stack([np.frombuffer(ids, dtype=np.uint8) for ids, _ in batch])
            states = self._embedder.states(torch.from_numpy(ids).long()).double()
            rows = torch.arange(len(batch), device=states.device)
            sites = torch.tensor([site for _, site in batch], device=states.device)
            both = torch.stack((states.mean(dim=1), states[rows, sites]))
            found: NDArray[np.float64] = both.cpu().numpy()
            return found

        if not windows:
            empty = np.zeros((0, self._embedder.width))
            return empty, empty
        parts = self._embedder.batches.run(run, windows, self._window)
        means, sites = np.concatenate(parts, axis=1)
        return means, sites


def _cosine(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 - cos of the angle between vectors (..., width); 0 where one of them is 0."""
    # Half the squared distance of the directions keeps the digits of small angles.
    units = [
        np.divide(one, size, out=np.zeros_like(one), where=size > 0)
        for one, size in ((v, np.linalg.norm(v, axis=-1, keepdims=True)) for v in (first, second))
    ]
    distance: NDArray[np.float64] = ((units[0] - units[1]) ** 2).sum(axis=-1) / 2
    return distance
