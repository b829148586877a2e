"""What a language model says about windows: log-probabilities from batches of equal length.

Every window has the same length, so nothing is padded and no number depends on the batch it was
computed in beyond float32 rounding. Log-softmax is taken over the whole vocabulary, in float32
(float64 for a float64 model); sums are float64.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from genolm.modules.precision import at_least_float32
from genolm.scoring.batches import Batches, BatchSize
from genolm.tokenization.vocabulary import BASE_IDS, A, T


@dataclass(frozen=True, slots=True)
class MaskedWindow:
    """A window in which some bases are hidden.

    Attributes:
        ids: Token ids (window,), with [MASK] at ``positions``.
        positions: The hidden positions (n,).
    """

    ids: NDArray[np.uint8]
    positions: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SequenceWindow:
    """A window whose likelihood is wanted from one base on.

    Attributes:
        ids: Token ids (window,).
        first: The first position whose probability counts; position 0 has nothing before it and
            never counts.
    """

    ids: NDArray[np.uint8]
    first: int


def by_strand(ratios: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
    """Name log-likelihood ratios (edits, 2), forward and reverse strand, and their mean."""
    forward, reverse = ratios.T
    return {"llr": (forward + reverse) / 2, "llr_fwd": forward, "llr_rev": reverse}


def base_logs(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the log-probabilities of bases; N is no base and has 0.

    Args:
        logits: Of the targets (batch, length, vocabulary), float32 at least.
        targets: Token ids (batch, length).

    Returns:
        Natural logarithms (batch, length), in the type of the logits.
    """
    taken = torch.log_softmax(logits, dim=-1).gather(2, targets[..., None])[..., 0]
    return torch.where((targets >= A) & (targets <= T), taken, 0.0)


def sum_bases(logits: Tensor, targets: Tensor, first: Sequence[int]) -> NDArray[np.float64]:
    """Sum the log-probabilities of bases from some target on.

    Args:
        logits: Of the targets (batch, length, vocabulary), float32 at least.
        targets: Token ids (batch, length).
        first: Of each sequence, the first target that counts; negative for all of them.

    Returns:
        Natural logarithms (batch,).
    """
    starts = torch.tensor(first, device=targets.device)[:, None]
    counts = torch.arange(targets.shape[1], device=targets.device) >= starts
    logs = base_logs(logits, targets).double()
    return torch.where(counts, logs, 0.0).sum(dim=1).cpu().numpy()


class ModelRunner:
    """Runs a language model over windows of one length.

    Args:
        model: A causal or masked language model in evaluation mode; returns ``.logits``
            (batch, window, vocabulary).
        batch_size: Windows a batch, or "auto".

    Attributes:
        batches: How windows are put together.
    """

    def __init__(self, model: nn.Module, *, batch_size: BatchSize = "auto") -> None:
        self.batches = Batches(next(model.parameters()).device, batch_size)
        self._model = model

    def masked(self, windows: Sequence[MaskedWindow]) -> list[NDArray[np.float64]]:
        """Return the log-probabilities of A, C, G, T at every hidden position.

        Args:
            windows: All of one length.

        Returns:
            For each window an array (n positions, 4).
        """
        length = len(windows[0].ids) if windows else 1
        return list(chain.from_iterable(self.batches.run(self._hidden_bases, windows, length)))

    def sequences(self, windows: Sequence[SequenceWindow]) -> NDArray[np.float64]:
        """Return the log-likelihood of every window from its first wanted base on.

        N is no base and adds nothing.

        Args:
            windows: All of one length.

        Returns:
            Natural logarithms (windows,).
        """
        length = len(windows[0].ids) if windows else 1
        sums = self.batches.run(self._log_likelihoods, windows, length)
        return np.concatenate([np.zeros(0), *sums])

    def bases(
        self, windows: Sequence[NDArray[np.uint8]], *, shifted: bool
    ) -> list[NDArray[np.float64]]:
        """Return the log-probabilities of A, C, G, T at every position of windows as they are.

        Args:
            windows: Token ids (window,), all of one length.
            shifted: Whether the model's logits are of the next position, as a causal model's; of
                position 0 nothing is known then, and all its bases have the same number.

        Returns:
            For each window an array (window, 4).
        """
        length = len(windows[0]) if windows else 1

        def run(batch: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
            ids = torch.from_numpy(np.stack(batch)).to(self.batches.device).long()
            found = torch.log_softmax(self._logits(ids), dim=-1)
            found = found[..., BASE_IDS[0] : BASE_IDS[-1] + 1].double()
            if shifted:
                found = torch.cat((torch.zeros_like(found[:, :1]), found[:, :-1]), dim=1)
            rows: NDArray[np.float64] = found.cpu().numpy()
            return rows

        return list(chain.from_iterable(self.batches.run(run, windows, length)))

    def _hidden_bases(self, batch: Sequence[MaskedWindow]) -> list[NDArray[np.float64]]:
        logits = self._logits(self._ids(batch))
        rows = np.concatenate([np.full(len(w.positions), i) for i, w in enumerate(batch)])
        columns = np.concatenate([window.positions for window in batch])
        hidden = logits[torch.from_numpy(rows), torch.from_numpy(columns)]
        bases = torch.log_softmax(hidden, dim=-1)[:, BASE_IDS[0] : BASE_IDS[-1] + 1]
        ends = np.cumsum([len(window.positions) for window in batch])
        return np.split(bases.double().cpu().numpy(), ends[:-1])

    def _log_likelihoods(self, batch: Sequence[SequenceWindow]) -> NDArray[np.float64]:
        begin = min(max(1, window.first) for window in batch)  # nothing before it counts
        ids = self._ids(batch)
        first = [window.first - begin for window in batch]
        return sum_bases(self._logits(ids)[:, begin - 1 : -1], ids[:, begin:], first)

    def _ids(self, batch: Sequence[MaskedWindow] | Sequence[SequenceWindow]) -> Tensor:
        ids = np.stack([window.ids for window in batch])
        return torch.from_numpy(ids).to(self.batches.device).long()

    def _logits(self, ids: Tensor) -> Tensor:
        logits: Tensor = self._model(ids).logits
        return at_least_float32(logits)
