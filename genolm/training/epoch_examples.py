"""The epochs of a fine-tuning, example by example."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from genolm.data.batch import Batch, Item
from genolm.data.randomness import coin_flips, permutation
from genolm.training.buckets import bucketed, row_lengths
from genolm.training.parts import Part


class EpochExamples:
    """Epochs of a train part, one after another, each in its own order.

    Example ``index`` belongs to epoch ``index // per_epoch``; its row and strand are a function of
    (seed, epoch, place) alone. An epoch leaves out the few rows that would not fill a batch; they
    are others in every epoch.

    Args:
        part: The rows.
        length: Tokens of every input.
        per_epoch: Examples of an epoch, at most the number of rows.
        epochs: Number of epochs.
        seed: Of the orders and the strands.
        rc: "none", "augment" or "conjoin".
        bucket: Rows of a batch, to make batches of similar lengths; None for any.
    """

    def __init__(
        self,
        part: Part,
        *,
        length: int,
        per_epoch: int,
        epochs: int,
        seed: int,
        rc: str,
        bucket: int | None = None,
    ) -> None:
        self._bucket = bucket
        self._lengths = None if bucket is None else row_lengths(part, length)
        self.per_epoch, self.epochs, self.seed = per_epoch, epochs, seed
        self._forward = part.examples(length, conjoin=rc == "conjoin")
        self._other_strand = part.examples(length, reverse=True) if rc == "augment" else None
        self._orders: dict[int, NDArray[np.int64]] = {}

    def __len__(self) -> int:
        return self.per_epoch * self.epochs

    def names(self, indices: range) -> list[str]:
        """Return the rows of the train part, counted from 0, that examples show."""
        return [f"row {row}" for row in self._locate(indices)[1]]

    def _locate(self, indices: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the epochs and the rows of examples, (examples,) each."""
        epochs, rows = np.divmod(np.array(indices, dtype=np.int64), self.per_epoch)
        for epoch in sorted(set(epochs.tolist())):
            mine = epochs == epoch
            rows[mine] = self._order_of(epoch)[rows[mine]]
        return epochs, rows

    def _order_of(self, epoch: int) -> NDArray[np.int64]:
        if epoch not in self._orders:
            order = permutation(self.seed, epoch, len(self._forward))
            if self._lengths is not None and self._bucket is not None:
                order = bucketed(order[: self.per_epoch], self._lengths, self._bucket, self.seed)
            self._orders = {epoch: order}
        return self._orders[epoch]

    def __getitem__(self, index: int) -> Item:
        """Return ``input_ids`` and ``labels`` of one example."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Return several examples at once: the same ones, faster."""
        epochs, rows = self._locate(indices)
        columns = self._forward.__getitems__(rows.tolist()).columns
        if self._other_strand is not None:
            turned = np.flatnonzero(coin_flips(self.seed, epochs, rows))
            if len(turned):
                shown = self._other_strand.__getitems__(rows[turned].tolist()).columns
                for name, column in shown.items():
                    columns[name][torch.from_numpy(turned)] = column
        return Batch(columns, indices)
