"""Windows of a genome as batches for language modelling."""

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from genolm.data.batch import Batch, Item, collate
from genolm.data.genome_store import GenomeStore
from genolm.data.masking import (
    EvaluationMasking,
    Masking,
    hide_targets,
    mask_samples,
    next_base_labels,
    sparse_evaluation_mask,
)
from genolm.data.randomness import coin_flips, permutation, shifts
from genolm.data.windows import WindowSet
from genolm.tokenization.complement import reverse_complement_ids
from genolm.tokenization.vocabulary import PAD, N

Objective = Literal["masked_lm", "causal_lm"]
UnknownBases = Literal["ignored", "pad", "predicted"]

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
        soft_mask_weight: Weight in the loss of bases that the FASTA has in lower case; with one
            below 1, items also hold ``loss_weights``.
        stages: Pairs (first sample after the stage, length) in ascending order: a sample of a stage
            is its window cut into pieces of that length, (pieces, length) instead of (length,).
        n_bases: What N is: ``ignored``, shown and never a target; ``pad``, shown as [PAD] and never
            a target; ``predicted``, a target as any base. Evaluation masks never ask for N.
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
        soft_mask_weight: float = 1.0,
        stages: Sequence[tuple[int, int]] = (),
        n_bases: UnknownBases = "ignored",
    ) -> None:
        if objective not in ("masked_lm", "causal_lm"):
            raise ValueError(f"objective must be masked_lm or causal_lm, got {objective!r}")
        if order not in ("shuffled", "sequential"):
            raise ValueError(f"order must be shuffled or sequential, got {order!r}")
        if (objective == "masked_lm") != (masking is not None):
            raise ValueError(f"masking goes with masked_lm, got {masking} for {objective}")
        if n_bases not in ("ignored", "pad", "predicted"):
            raise ValueError(f"n_bases must be ignored, pad or predicted, got {n_bases!r}")
        if jitter < 0:
            raise ValueError(f"jitter must be at least 0, got {jitter}")
        if any(length < 1 or windows.length % length for _, length in stages):
            raise ValueError(f"lengths of stages must divide {windows.length}, got {stages}")
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
        self.soft_mask_weight = soft_mask_weight
        self.stages = tuple(stages)
        self.n_bases = n_bases
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
            for epoch in set(epochs.tolist()):
                mine = epochs == epoch
                windows[mine] = self._order_of(epoch)[windows[mine]]
        return epochs, windows

    def _read(
        self, epochs: NDArray[np.int64], windows: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
        """Return token ids and weights (batch, length), shifted and on the strand that is shown."""
        places = self._places[windows]
        if self.jitter:
            start = self.windows.start[windows]
            moved = start + shifts(self.seed, epochs, windows, self.jitter)
            low, high = self.windows.low[windows], self.windows.high[windows]
            places = places + np.clip(moved, low, high) - start
        ids = self.store.gather(places, self.windows.length)
        weights = self._weigh(places)
        if self.rc_augment:
            reversed_ = coin_flips(self.seed, epochs, windows)
            ids[reversed_] = reverse_complement_ids(ids[reversed_])
            if weights is not None:
                weights[reversed_] = weights[reversed_, ::-1]
        return ids, weights

    def _weigh(self, places: NDArray[np.int64]) -> NDArray[np.float32] | None:
        if self.soft_mask_weight == 1.0:
            return None
        repeats = self.store.gather_repeats(places, self.windows.length)
        return np.where(repeats, np.float32(self.soft_mask_weight), np.float32(1.0))

    def _label(
        self, ids: NDArray[np.uint8], epochs: NDArray[np.int64], windows: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        length = self.windows.length
        with_n = self.n_bases == "predicted"
        if self.masking is None:
            return ids, next_base_labels(ids, with_n=with_n)
        if isinstance(self.masking, EvaluationMasking):
            # By place in the genome, so that a selection of windows has the targets of the whole.
            places = self._places[windows]
            chosen = sparse_evaluation_mask(length, self.seed, places, self.masking.one_in)
            return hide_targets(ids, chosen)
        return mask_samples(ids, self.seed, epochs, windows, self.masking, with_n=with_n)

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

    def __getitems__(self, indices: list[int]) -> Batch:
        """Return several samples at once: the same ones, faster."""
        epochs, windows = self._locate(indices)
        ids, weights = self._read(epochs, windows)
        inputs, labels = self._label(ids, epochs, windows)
        if self.n_bases == "pad":
            inputs[inputs == N] = PAD
        columns = {
            "input_ids": torch.from_numpy(inputs.astype(np.int64)),
            "labels": torch.from_numpy(labels),
        }
        if weights is not None:
            columns["loss_weights"] = torch.from_numpy(weights)
        return Batch(columns, indices, self.stages)

    collate = staticmethod(collate)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_orders": {}}
