"""Windows of a causal model that begin alike, read once up to where they differ.

REF and ALT windows of a site are the same up to the first changed base. The model reads that part
once, and from what it remembers of it the rest of every window. This changes no number beyond
rounding: a plain Mamba's memory of what it read is complete.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from genolm.models.backbone import GenolmModel
from genolm.models.language import CausalLanguageModel
from genolm.modules.precision import at_least_float32
from genolm.scoring.batches import BatchSize
from genolm.scoring.likelihood import ModelRunner, SequenceWindow, sum_bases

STEP: Final = 32  # beginnings end at every so many positions, so that many windows share a batch
SHORTEST: Final = 8  # a beginning that is worth a call of its own

Group = Sequence[int]  # numbers of windows that begin alike


def causal_runner(model: GenolmModel, *, batch_size: BatchSize = "auto") -> ModelRunner:
    """Return what runs a causal model: windows share their beginnings where the model can."""
    if isinstance(model, CausalLanguageModel) and model.resumable:
        return PrefixRunner(model, batch_size=batch_size)
    return ModelRunner(model, batch_size=batch_size)


def shared_length(window: SequenceWindow) -> int:
    """Return how many positions before the first that counts are read apart; 0 for none.

    It depends on the window alone, so that a number never depends on what else is scored. A
    centred SNV gives the same on both strands.
    """
    length = len(window.ids)
    before = max(1, window.first) - 1  # the logits at the position before the first count
    of_snvs = length - length // 2 - 2
    shared = before - (before - of_snvs) % STEP
    return shared if shared >= SHORTEST else 0


def group_by_beginning(windows: Sequence[SequenceWindow]) -> Mapping[int, list[Group]]:
    """Put windows that begin alike together.

    Args:
        windows: All of one length.

    Returns:
        For each length of a beginning the groups of windows that share one; under 0, one by one,
        the windows that share nothing.
    """
    groups: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for number, window in enumerate(windows):
        shared = shared_length(window)
        groups[shared, window.ids[:shared].tobytes()].append(number)
    found: dict[int, list[Group]] = defaultdict(list)
    for (shared, _), numbers in groups.items():
        if shared and len(numbers) > 1:
            found[shared].append(numbers)
        else:
            found[0] += [[number] for number in numbers]
    return found


class PrefixRunner(ModelRunner):
    """Runs a plain Mamba over windows; a beginning that several of them share is read once.

    Args:
        model: In evaluation mode, and `resumable`.
        batch_size: Windows a batch, or "auto".
    """

    def __init__(self, model: CausalLanguageModel, *, batch_size: BatchSize = "auto") -> None:
        super().__init__(model, batch_size=batch_size)
        self._causal = model

    def sequences(self, windows: Sequence[SequenceWindow]) -> NDArray[np.float64]:
        """Return the log-likelihood of every window, as `ModelRunner.sequences` does."""
        found = np.zeros(len(windows))
        for shared, groups in group_by_beginning(windows).items():
            numbers = list(chain.from_iterable(groups))
            if not shared:
                found[numbers] = super().sequences([windows[number] for number in numbers])
                continue
            found[numbers] = self._from_beginnings(windows, groups, shared)
        return found

    def _from_beginnings(
        self, windows: Sequence[SequenceWindow], groups: Sequence[Group], shared: int
    ) -> NDArray[np.float64]:
        rest = len(windows[0].ids) - shared
        size = self.batches.size(rest)

        def run(some: Sequence[Group]) -> NDArray[np.float64]:
            ids = self._ids([windows[numbers[0]] for numbers in some])
            cache = self._causal.remember(ids[:, :shared])
            rows = np.repeat(np.arange(len(some)), [len(numbers) for numbers in some])
            members = [windows[number] for number in chain.from_iterable(some)]
            sums = []
            for start in range(0, len(members), size):
                index = torch.from_numpy(rows[start : start + size]).to(ids.device)
                batch = members[start : start + size]
                rest_ids = self._ids(batch)[:, shared:]
                logits, _ = self._causal.resume(rest_ids[:, :-1], cache.rows(index))
                first = [window.first - shared - 1 for window in batch]
                sums.append(sum_bases(at_least_float32(logits), rest_ids[:, 1:], first))
            return np.concatenate(sums)

        return np.concatenate(self.batches.run(run, groups, max(shared, rest)))
