"""The loss of a language model on held-out windows, and what counting reaches on the same bases.

A part is a fixed set of windows with fixed targets: every A, C, G, T but the first of a window for
causal models; one base in 32, always shown as [MASK], for masked ones. Both the model and the
count models are judged on exactly these positions; losses are summed over the whole part, in
float64, and never averaged over batches. The model's loss is its cross entropy over the whole
padded vocabulary, as it was trained.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from genolm.data.genome_store import GenomeStore
from genolm.data.language import LanguageDataset, UnknownBases
from genolm.data.masking import IGNORED, EvaluationMasking
from genolm.data.windows import WindowSet
from genolm.metrics.counts import markov_bits, two_sided_bits
from genolm.objectives import Objective

EVALUATION_SEED = 0
"""Of the targets of masked models: the same in every run, so that runs can be compared."""

Figures = dict[str, float | None]

_READ_AT_ONCE = 256


@dataclass(frozen=True)
class HeldOut:
    """Windows to be judged on.

    Attributes:
        inputs: Token ids as the model sees them (windows, length), uint8.
        labels: Token ids at the targets (windows, length), int16; -100 elsewhere.
        masked: Whether the targets are hidden; otherwise each is predicted from the left.
    """

    inputs: NDArray[np.uint8]
    labels: NDArray[np.int16]
    masked: bool

    @property
    def targets(self) -> NDArray[np.bool_]:
        """Positions that count (windows, length)."""
        return np.not_equal(self.labels, IGNORED)

    @property
    def ids(self) -> NDArray[np.uint8]:
        """True token ids (windows, length)."""
        return np.where(self.targets, self.labels.astype(np.uint8), self.inputs)


def read_part(
    store: GenomeStore,
    windows: WindowSet,
    objective: Objective,
    *,
    n_bases: UnknownBases = "ignored",
) -> HeldOut:
    """Read windows and choose their targets.

    N is never one, also where ``n_bases`` makes it one in training; ``pad`` has it shown as PAD.
    """
    masked = objective == "masked_lm"
    examples = LanguageDataset(
        store,
        windows,
        objective,
        seed=EVALUATION_SEED,
        masking=EvaluationMasking() if masked else None,
        order="sequential",
        n_bases="pad" if n_bases == "pad" else "ignored",
    )
    inputs = np.empty((len(windows), windows.length), dtype=np.uint8)
    labels = np.empty(inputs.shape, dtype=np.int16)
    for first in range(0, len(windows), _READ_AT_ONCE):
        rows = range(first, min(first + _READ_AT_ONCE, len(windows)))
        for row, example in zip(rows, examples.__getitems__(list(rows)), strict=True):
            inputs[row] = example["input_ids"]
            labels[row] = example["labels"]
    if not masked:
        # Nothing is to the left of a window's first base.
        labels[:, 0] = IGNORED
    return HeldOut(inputs, labels, masked)


@torch.no_grad()
def language_figures(
    model: nn.Module, part: HeldOut, *, batch_size: int, device: torch.device
) -> Figures:
    """Return ``loss`` (nats per target), ``bits_per_base`` and ``n_targets`` of a part.

    Args:
        model: A language model; it is left in evaluation mode.
        part: To be judged on.
        batch_size: Windows at a time.
        device: Where the model is.
    """
    model.eval()
    nats = 0.0
    for first in range(0, len(part.inputs), batch_size):
        rows = slice(first, first + batch_size)
        logits = model(_to_device(part.inputs[rows], device)).logits
        expected = _to_device(part.labels[rows], device)
        if not part.masked:
            logits, expected = logits[:, :-1], expected[:, 1:]
        losses = functional.cross_entropy(
            logits.float().flatten(0, 1),
            expected.flatten(),
            ignore_index=IGNORED,
            reduction="none",
        )
        nats += float(losses.double().sum())
    count = int(part.targets.sum())
    return {"loss": nats / count, "bits_per_base": nats / count / math.log(2), "n_targets": count}


def _to_device(values: NDArray[Any], device: torch.device) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.int64)).to(device)


def count_baselines(store: GenomeStore, train: WindowSet, part: HeldOut) -> dict[str, float]:
    """Return the bits per base of count models on the targets of a part.

    Args:
        store: The genome.
        train: Windows that the model learns from; the bases they cover are counted, both strands.
        part: To be judged on.

    Returns:
        ``order_0 ... order_7`` (Markov) for causal targets, ``two_sided_2 ... two_sided_4`` for
        masked ones.
    """
    return count_together([(store, train)], [part])


def count_together(
    learned: Sequence[tuple[GenomeStore, WindowSet]], parts: Sequence[HeldOut]
) -> dict[str, float]:
    """Return the same of several genomes: all train parts counted, all targets of one kind judged.

    Args:
        learned: Genomes and the windows of them that the model learns from.
        parts: To be judged on.
    """
    score = two_sided_bits if parts[0].masked else markov_bits
    ids = [row for part in parts for row in part.ids]
    return score(_stretches(learned), ids, targets=[row for part in parts for row in part.targets])


def _stretches(learned: Sequence[tuple[GenomeStore, WindowSet]]) -> Iterator[NDArray[np.uint8]]:
    for store, windows in learned:
        for stretch in windows.covered():
            yield store.ids(stretch.chrom, stretch.start, stretch.end)
