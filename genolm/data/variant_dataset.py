"""Variants as examples: the windows of both alleles, and where the variant stands in them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from genolm.data.allele_windows import opposite_site, window_pair
from genolm.data.batch import Batch, Item, stack
from genolm.data.edit_windows import GenomeWindows, place
from genolm.data.labelled_dataset import Labels, label_tensor
from genolm.genome.edits import Edit


class VariantDataset(Dataset[Item]):
    """Examples of what a variant-effect model reads.

    The windows are those of scoring: of equal length, around the variant, shifted at the ends of a
    contig. Where an equivariant model reads the other strand of a window by itself, the site there
    is that of the mirrored window.

    Args:
        edits: At most ``window // 2`` bases long.
        labels: Class ids (int) or values (float); None for prediction.
        genome: The reference bases.
        window: Bases of every window.
        conjoin: Show both strands, side by side on a last axis.
        reverse: Show the other strand instead.
    """

    def __init__(
        self,
        edits: Sequence[Edit],
        labels: Labels | None,
        genome: GenomeWindows,
        *,
        window: int,
        conjoin: bool = False,
        reverse: bool = False,
    ) -> None:
        self.window = window
        self.conjoin = conjoin
        self.reverse = reverse
        self.labels = None if labels is None else label_tensor(labels)
        self._edits = edits
        self._genome = genome

    def __len__(self) -> int:
        return len(self._edits)

    def __getitem__(self, index: int) -> Item:
        """Return an example.

        Returns:
            ``input_ids`` (2, window) of REF and ALT, or (2, window, 2) under ``conjoin``; ``sites``
            (2, 2), for each allele the position on the strand shown and on the other one; and
            ``labels``.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"variants are numbered 0 to {len(self) - 1}, got {index}")
        edit = self._edits[index]
        strands = (self.reverse, not self.reverse) if self.conjoin else (self.reverse,)
        placed = place(edit, self.window, self._genome.contigs[edit.contig])
        pairs = [
            window_pair(self._genome, edit, placed, self.window, reverse=strand)
            for strand in strands
        ]
        ids = np.stack(
            [np.stack([np.frombuffer(ids, dtype=np.uint8) for ids, _ in pair]) for pair in pairs],
            axis=-1,
        )
        item = {
            "input_ids": torch.from_numpy((ids if self.conjoin else ids[..., 0]).astype(np.int64)),
            "sites": torch.tensor(self._sites(edit, [[site for _, site in p] for p in pairs])),
        }
        if self.labels is not None:
            item["labels"] = self.labels[index]
        return item

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Return several examples at once."""
        return stack([self[index] for index in indices], indices)

    def _sites(self, edit: Edit, shown: list[list[int]]) -> list[list[int]]:
        """Positions (2 alleles, 2 strands), given those on the strands that are shown."""
        other = shown[-1]
        if len(shown) == 1:
            other = [
                opposite_site(site, allele, self.window)
                for site, allele in zip(shown[0], (edit.ref, edit.alt), strict=True)
            ]
        return [list(pair) for pair in zip(shown[0], other, strict=True)]
