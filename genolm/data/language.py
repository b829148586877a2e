"""Windows of a genome as batches for language modelling."""

from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from genolm.data.genome_store import GenomeStore
from genolm.data.masking import (
    EvaluationMasking,
    Masking,
    hide_targets,
    mask_tokens,
    next_base_labels,
    sparse_evaluation_mask,
    training_words,
)
from genolm.data.randomness import coin_flips, permutation, shifts
from genolm.data.windows import WindowSet
from genolm.tokenization.complement import reverse_complement_ids

Objective = Literal["masked_lm", "causal_lm"]
Item = dict[str, torch.Tensor]

_KEPT_ORDERS: Final = 2


class LanguageDataset(Dataset[Item]):
    """Windows with masked-LM or next-base labels.

    Sample ``index`` belongs to epoch ``index // len(windows)``. Its window, strand, shift and mask
    are a function of (seed, epoch, window) alone: the same for any number of workers, any batch
    size and any point of resumption.

    Args:
        store: The genome.
        windows: Its windows, at least one.
        objective: ``masked_lm`` or ``causal_lm``.
        seed: Of the order, the strands, the shifts and the masks.
        rc_augment: Show half of the samples as the other strand.
        masking: For ``masked_lm``: :class:`Masking` for training, :class:`EvaluationMasking` for a
            mask that is the same in every epoch and for every selection of windows.
        samples: Number of samples, for as many epochs as that takes; None for one epoch.
        order: ``shuffled`` anew in every epoch, or ``sequential``.
        jitter: Move each window by up to this many bases, anew in every epoch, within its region,
            so that a base is not always seen at the same place of a window.
    """

    def __init__(
        self,
        store: GenomeStore,
        windows: WindowSet,
        objective: Objective,
        *,
        seed: int,
        rc_augment: bool = False,
        masking: Masking | EvaluationMasking | None = None,
        samples: int | None = None,
        order: Literal["shuffled", "sequential"] = "shuffled",
        jitter: int = 0,
    ) -> None:
        if objective not in ("masked_lm", "causal_lm"):
            raise ValueError(f"objective must be masked_lm or causal_lm, got {objective!r}")
        if order not in ("shuffled", "sequential"):
            raise ValueError(f"order must be shuffled or sequential, got {order!r}")
        if (objective == "masked_lm") != (masking is not None):
            raise ValueError(f"masking goes with masked_lm, got {masking} for {objective}")
        if jitter < 0:
            raise ValueError(f"jitter must be at least 0, got {jitter}")
        if not len(windows):
            raise ValueError("a dataset needs at least one window")
        self.store = store
        self.windows = windows
        self.objective = objective
        self.seed = seed
        self.rc_augment = rc_augment
        self.masking = masking
        self.samples = len(windows) if samples is None else samples
        self.order = order
        self.jitter = jitter
        self._places = windows.places(store)
        self._orders: dict[int, NDArray[np.int64]] = {}

    def __len__(self) -> int:
        return self.samples

    def _order_of(self, epoch: int) -> NDArray[np.int64]:
        if epoch not in self._orders:
            while len(self._orders) >= _KEPT_ORDERS:
                del self._orders[next(iter(self._orders))]
            self._orders[epoch] = permutation(self.seed, epoch, len(self.windows))
        return self._orders[epoch]

    def _locate(self, indices: list[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the epoch and the window of each sample (batch,)."""
        wanted = np.array(indices, dtype=np.int64)
        if wanted.min() < 0 or wanted.max() >= self.samples:
            raise IndexError(f"samples are numbered 0 to {self.samples - 1}, got {indices}")
        epochs, windows = np.divmod(wanted, len(self.windows))
        if self.order == "shuffled":
            for epoch in np.unique(epochs).tolist():
                mine = epochs == epoch
                windows[mine] = self._order_of(epoch)[windows[mine]]
        return epochs, windows

    def _read(self, epochs: NDArray[np.int64], windows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return token ids (batch, length), shifted and on the strand that is shown."""
        places = self._places[windows]
        if self.jitter:
            start = self.windows.start[windows]
            moved = start + shifts(self.seed, epochs, windows, self.jitter)
            low, high = self.windows.low[windows], self.windows.high[windows]
            places = places + np.clip(moved, low, high) - start
        ids = self.store.gather(places, self.windows.length)
        if self.rc_augment:
            reversed_ = coin_flips(self.seed, epochs, windows)
            ids[reversed_] = reverse_complement_ids(ids[reversed_])
        return ids

    def _label(
        self, ids: NDArray[np.uint8], epochs: NDArray[np.int64], windows: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        length = self.windows.length
        if self.masking is None:
            return ids, next_base_labels(ids)
        if isinstance(self.masking, EvaluationMasking):
            # By place in the genome, so that a selection of windows has the targets of the whole.
            places = self._places[windows]
            chosen = sparse_evaluation_mask(length, self.seed, places, self.masking.one_in)
            return hide_targets(ids, chosen)
        return mask_tokens(ids, training_words(self.seed, epochs, windows, length), self.masking)

    def names(self, indices: range) -> list[str]:
        """Return the windows that samples show, before they are shifted: ``chrI:100-200``.

        Intervals are 0-based and half-open.
        """
        _, windows = self._locate(list(indices))
        shown = [self.windows[int(number)] for number in windows]
        return [f"{one.chrom}:{one.start}-{one.end}" for one in shown]

    def __getitem__(self, index: int) -> Item:
        """Return ``input_ids`` and ``labels``, both (length,), int64."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> list[Item]:
        """Return several samples at once: the same ones, faster."""
        epochs, windows = self._locate(indices)
        inputs, labels = self._label(self._read(epochs, windows), epochs, windows)
        rows = torch.from_numpy(inputs.astype(np.int64))
        targets = torch.from_numpy(labels)
        return [
            {"input_ids": row, "labels": target} for row, target in zip(rows, targets, strict=True)
        ]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_orders": {}}
