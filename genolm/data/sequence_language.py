"""Sequences of a table as examples for language modelling: bases to guess, labels not looked at."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from genolm.data.masking import IGNORED, Masking, mask_tokens, next_base_labels, training_words
from genolm.data.randomness import coin_flips, permutation
from genolm.tokenization.complement import reverse_complement_ids
from genolm.tokenization.encode import encode
from genolm.tokenization.vocabulary import PAD

Item = dict[str, torch.Tensor]


def padded_ids(
    sequences: Sequence[str], length: int, *, reverse: bool = False
) -> NDArray[np.uint8]:
    """Return token ids (sequences, length) as fine-tuning shows them.

    Shorter sequences are padded on the left, longer ones lose their right end.

    Args:
        sequences: Bases.
        length: Tokens of every row.
        reverse: Whether to show the other strand.
    """
    rows = np.full((len(sequences), length), PAD, dtype=np.uint8)
    for row, sequence in zip(rows, sequences, strict=True):
        ids = encode(sequence).ids
        kept = (reverse_complement_ids(ids) if reverse else ids)[:length]
        row[length - len(kept) :] = kept
    return rows


class SequenceLanguageDataset(Dataset[Item]):
    """Whole sequences with masked-LM or next-base labels; padding is never a target.

    Sample ``index`` belongs to epoch ``index // len(sequences)``. Its sequence, strand and mask are
    a function of (seed, epoch, sequence) alone: the same for any point of resumption.

    Args:
        sequences: Bases, at least one sequence.
        objective: ``masked_lm`` or ``causal_lm``.
        length: Tokens of every input.
        seed: Of the order, the strands and the masks.
        samples: Number of samples, for as many epochs as that takes.
        rc_augment: Show half of the samples as the other strand.
        masking: For ``masked_lm``.
    """

    def __init__(
        self,
        sequences: Sequence[str],
        objective: Literal["masked_lm", "causal_lm"],
        *,
        length: int,
        seed: int,
        samples: int,
        rc_augment: bool = False,
        masking: Masking | None = None,
    ) -> None:
        if (objective == "masked_lm") != (masking is not None):
            raise ValueError(f"masking goes with masked_lm, got {masking} for {objective}")
        if not sequences:
            raise ValueError("a dataset needs at least one sequence")
        self.seed, self.samples, self.masking = seed, samples, masking
        self._ids = padded_ids(sequences, length)
        self._opposite = padded_ids(sequences, length, reverse=True) if rc_augment else None
        self._orders: dict[int, NDArray[np.int64]] = {}

    def __len__(self) -> int:
        return self.samples

    def names(self, indices: range) -> list[str]:
        """Return the rows, counted from 0, that samples show."""
        return [f"row {row}" for row in self._locate(list(indices))[1].tolist()]

    def _locate(self, indices: list[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the epoch and the row of each sample (batch,)."""
        epochs, rows = np.divmod(np.array(indices, dtype=np.int64), len(self._ids))
        for epoch in np.unique(epochs).tolist():
            if epoch not in self._orders:
                # An epoch begins in the batch in which the last one ends.
                self._orders = {k: v for k, v in self._orders.items() if k == epoch - 1}
                self._orders[epoch] = permutation(self.seed, epoch, len(self._ids))
            mine = epochs == epoch
            rows[mine] = self._orders[epoch][rows[mine]]
        return epochs, rows

    def __getitem__(self, index: int) -> Item:
        """Return ``input_ids`` and ``labels``, both (length,), int64."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> list[Item]:
        """Return several samples at once: the same ones, faster."""
        epochs, rows = self._locate(indices)
        ids = self._ids[rows]
        if self._opposite is not None:
            flipped = coin_flips(self.seed, epochs, rows)
            ids[flipped] = self._opposite[rows[flipped]]
        inputs, labels = ids, next_base_labels(ids)
        if self.masking is not None:
            words = training_words(self.seed, epochs, rows, ids.shape[1])
            inputs, labels = mask_tokens(ids, words, self.masking)
        columns = torch.from_numpy(inputs.astype(np.int64)), torch.from_numpy(labels)
        pairs = zip(*columns, strict=True)
        return [{"input_ids": shown, "labels": wanted} for shown, wanted in pairs]


def hide_next(ids: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return next-base labels (rows, length) without each row's first base: nothing tells it."""
    labels = next_base_labels(ids)
    first = (ids != PAD).argmax(axis=1)
    labels[np.arange(len(ids)), first] = IGNORED
    return labels
