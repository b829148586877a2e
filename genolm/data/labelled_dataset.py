"""Labelled sequences as batches for fine-tuning and prediction."""

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from genolm.data.batch import Batch, Item
from genolm.data.randomness import coin_flips
from genolm.tokenization.complement import COMPLEMENT_IDS
from genolm.tokenization.encode import encode
from genolm.tokenization.vocabulary import PAD

Labels = Sequence[int] | Sequence[float] | Sequence[Sequence[float]] | NDArray[Any]

_COMPLEMENT: Final = np.array(COMPLEMENT_IDS, dtype=np.int64)


class LabelledDataset(Dataset[Item]):
    """Sequences padded to one length, with their labels.

    A sequence longer than ``length`` loses its right end (of the strand that is shown, as in the
    original code of both models). Nothing is appended.

    Args:
        sequences: Bases; case is folded, U is read as T, other IUPAC letters as N.
        labels: Class ids (int), values (float) or rows of 0 and 1; None for prediction.
        length: Tokens of every input.
        rc_augment: Show the other strand of half of the samples, anew in every epoch.
        conjoin: Show both strands, side by side on a last axis.
        seed: Of the strands.
        padding_side: ``left``, as both models were trained.
    """

    def __init__(
        self,
        sequences: Sequence[str],
        labels: Labels | None = None,
        *,
        length: int,
        rc_augment: bool = False,
        conjoin: bool = False,
        seed: int = 0,
        padding_side: Literal["left", "right"] = "left",
    ) -> None:
        if length < 1:
            raise ValueError(f"length must be at least 1, got {length}")
        if rc_augment and conjoin:
            raise ValueError("conjoin shows both strands already; leave out rc_augment")
        if padding_side not in ("left", "right"):
            raise ValueError(f"padding_side must be left or right, got {padding_side!r}")
        if labels is not None and len(labels) != len(sequences):
            raise ValueError(f"{len(sequences)} sequences but {len(labels)} labels")
        self.length = length
        self.rc_augment = rc_augment
        self.conjoin = conjoin
        self.seed = seed
        self.padding_side = padding_side
        self.labels = None if labels is None else label_tensor(labels)
        ids = [encode(text, source=f"sequence {i}").ids for i, text in enumerate(sequences)]
        self._ids = np.concatenate(ids) if ids else np.zeros(0, dtype=np.uint8)
        self._ends = np.cumsum([len(one) for one in ids], dtype=np.int64)
        # Shared memory, so that workers which live on see the epoch move.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]  # torch's

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def epoch(self) -> int:
        """Number of the epoch whose strands are shown."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Go to an epoch; workers that are alive follow."""
        self._epoch.fill_(epoch)

    def _read(self, rows: NDArray[np.int64], turned: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the padded token ids of rows (rows, length), of the other strand where turned."""
        ends = self._ends[rows]
        sizes = ends - np.where(rows > 0, self._ends[rows - 1], 0)
        # How far from the 5' end of the strand that is shown each position is.
        along = np.broadcast_to(np.arange(self.length), (len(rows), self.length))
        if self.padding_side == "left":
            along = along - (self.length - np.minimum(sizes, self.length))[:, None]
        bases = (along >= 0) & (along < sizes[:, None])
        forward = (ends - sizes)[:, None] + along
        at = np.where(turned[:, None], (ends - 1)[:, None] - along, forward)
        ids = np.full(at.shape, PAD, dtype=np.int64)
        ids[bases] = self._ids[at[bases]]
        ids[turned] = _COMPLEMENT[ids[turned]]
        return ids

    def __getitem__(self, index: int) -> Item:
        """Return ``input_ids`` (length,), or (length, 2) under ``conjoin``, and ``labels``."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Return several sequences at once: the same ones, faster."""
        rows = np.array(indices, dtype=np.int64)
        if rows.min() < 0 or rows.max() >= len(self):
            raise IndexError(f"sequences are numbered 0 to {len(self) - 1}, got {list(indices)}")
        turned = np.zeros(len(rows), dtype=np.bool_)
        if self.rc_augment:
            turned = coin_flips(self.seed, self.epoch, rows)
        ids = self._read(rows, turned)
        if self.conjoin:
            ids = np.stack([ids, self._read(rows, ~turned)], axis=-1)
        columns = {"input_ids": torch.from_numpy(ids)}
        if self.labels is not None:
            columns["labels"] = self.labels[torch.from_numpy(rows)]
        return Batch(columns, indices)


def label_tensor(labels: Labels) -> torch.Tensor:
    """Return labels as a loss takes them: whole numbers as int64, others as float32.

    Raises:
        ValueError: They are no numbers.
    """
    array = np.asarray(labels)
    if array.ndim == 1 and array.dtype.kind in "iu":
        return torch.from_numpy(array.astype(np.int64))
    if array.dtype.kind not in "iuf":
        raise ValueError(f"labels must be numbers, got {array.dtype}")
    return torch.from_numpy(array.astype(np.float32))
