"""Sequences as examples with a class for every base."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from genolm.data.base_labels import row_bounds
from genolm.data.batch import Batch, Item, stack
from genolm.data.labelled_dataset import LabelledDataset
from genolm.data.masking import IGNORED
from genolm.genome.sequence import reverse_complement


class TokenDataset(Dataset[Item]):
    """Sequences padded on the left to one length, and the class of every base; -100 on padding.

    Args:
        sequences: Bases, none longer than ``length``.
        classes: Class id of every base, row after row (bases,); -100 where it does not count.
        length: Tokens of every input.
        conjoin: Show both strands, side by side on a last axis; labels are of the first.
        reverse: Show the other strand instead, its labels in its own reading direction.

    Raises:
        ValueError: A sequence is longer than ``length``, or there are more or fewer classes than
            bases.
    """

    def __init__(
        self,
        sequences: Sequence[str],
        classes: NDArray[np.int64],
        *,
        length: int,
        conjoin: bool = False,
        reverse: bool = False,
    ) -> None:
        self._bounds = row_bounds(sequences)
        if self._bounds[-1] != len(classes):
            raise ValueError(f"{self._bounds[-1]} bases but {len(classes)} labels")
        longest = max((len(sequence) for sequence in sequences), default=0)
        if longest > length:
            raise ValueError(f"a sequence of {longest} bases does not fit an input of {length}")
        if reverse:
            sequences = [reverse_complement(sequence) for sequence in sequences]
        self._inputs = LabelledDataset(sequences, length=length, conjoin=conjoin)
        self._classes = classes
        self._reverse = reverse

    def __len__(self) -> int:
        return len(self._inputs)

    def __getitem__(self, index: int) -> Item:
        """Return ``input_ids`` (length,), or (length, 2), and ``labels`` (length,)."""
        item = self._inputs[index]
        own = self._classes[self._bounds[index] : self._bounds[index + 1]]
        labels = np.full(self._inputs.length, IGNORED, dtype=np.int64)
        labels[self._inputs.length - len(own) :] = own[::-1] if self._reverse else own
        return {**item, "labels": torch.from_numpy(labels)}

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Return several sequences at once."""
        return stack([self[index] for index in indices], indices)
