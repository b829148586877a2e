"""The convolutional network that GenomicBenchmarks and later papers compare with.

    embedding (100) -> [conv 100 -> 16, width 8; batch norm; ReLU; max pool 2]
                    -> [conv 16 -> 8, width 8; batch norm; max pool 2]
                    -> [conv 8 -> 4, width 8; batch norm; max pool 2]
                    -> flatten -> linear 512 -> linear classes

Gresova et al. 2023 (BMC Genomic Data 24:25), as Schiff et al. 2024 trained it. There is no
activation between the later layers; 264,710 parameters belong to inputs of 1,024 bases and two
classes. Inputs are padded on the left, as those of the language models are.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from genolm.evaluation.settings import CnnSettings
from genolm.objectives import classification_loss
from genolm.tokenization.vocabulary import VOCAB_SIZE
from genolm.training.judge import PROBLEM_TYPES, Figures, judge
from genolm.training.labelled_parts import LabelledPart, LabelledParts
from genolm.training.patience import worth
from genolm.training.recipe_finetune import Task

WIDTH: Final = 8
CHANNELS: Final = (100, 16, 8, 4)
HIDDEN: Final = 512
READ: Final = 1 << 10  # rows at a time
SHORTEST: Final = 57
"""Bases that leave one position after three convolutions and poolings."""

Scores = NDArray[np.float64]


class BenchmarkCNN(nn.Module):
    """The network.

    Args:
        length: Positions of an input, ``SHORTEST`` or more.
        outputs: Classes, labels, or 1.
        vocabulary: Token ids.
    """

    def __init__(self, length: int, outputs: int, vocabulary: int = VOCAB_SIZE) -> None:
        super().__init__()
        if length < SHORTEST:
            raise ValueError(f"length {length}: the network needs {SHORTEST} positions or more")
        self.embedding = nn.Embedding(vocabulary, CHANNELS[0])
        self.first = nn.Conv1d(CHANNELS[0], CHANNELS[1], WIDTH)
        blocks: list[nn.Module] = [nn.BatchNorm1d(CHANNELS[1]), nn.ReLU(), nn.MaxPool1d(2)]
        for inside, outside in pairwise(CHANNELS[1:]):
            blocks += [nn.Conv1d(inside, outside, WIDTH), nn.BatchNorm1d(outside), nn.MaxPool1d(2)]
        for _ in CHANNELS[1:]:
            length = (length - WIDTH + 1) // 2
        self.blocks = nn.Sequential(*blocks)
        self.hidden = nn.Linear(CHANNELS[-1] * length, HIDDEN)
        self.score = nn.Linear(HIDDEN, outputs)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Return logits (batch, outputs) of token ids (batch, length)."""
        # The embedding and the first convolution are one linear map of a token: a convolution over
        # 12 tokens in place of one over 100 channels.
        table = self.embedding.weight
        weight = torch.einsum("ock,vc->ovk", self.first.weight, table)
        tokens = functional.one_hot(input_ids, len(table)).to(table.dtype).transpose(1, 2)
        hidden = self.blocks(functional.conv1d(tokens, weight, self.first.bias))
        logits: Tensor = self.score(self.hidden(hidden.flatten(1)))
        return logits


@dataclass(frozen=True)
class CnnRun:
    """What a training of the network reached.

    Attributes:
        logits: Of the test rows (rows, outputs), by the epoch that was kept.
        valid: Figures of that epoch on the validation part.
        parameters: Of the network.
        epochs: Passes that were made.
        best_epoch: The one that was kept, from 1.
        seconds: They took, validation included.
    """

    logits: Scores
    valid: Figures
    parameters: int
    epochs: int
    best_epoch: int
    seconds: float


@dataclass(frozen=True)
class _Best:
    worth: float
    epoch: int
    figures: Figures
    weights: Mapping[str, Any]


def train_cnn(
    parts: LabelledParts,
    task: Task,
    settings: CnnSettings,
    *,
    seed: int,
    metric: str = "loss",
    device: torch.device | None = None,
) -> CnnRun:
    """Train the network on train, keep its best epoch on validation, and apply it to test.

    Args:
        parts: The labelled set, split.
        task: What the labels are.
        settings: Epochs, batch size, ...
        seed: Of the weights and the order.
        metric: Figure of the validation part that chooses the epoch; "loss" is best when lowest.
        device: To train on; None for the CPU.
    """
    place = device or torch.device("cpu")
    length = max(SHORTEST, max(len(one) for one in parts.train.rows.sequences))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BenchmarkCNN(length, max(1, len(parts.space.names))).to(place)
    train = _tensors(parts.train, length)
    held_out, asked = _tensors(parts.valid, length)[0], _tensors(parts.test, length)[0]
    optimizer = torch.optim.Adam(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    best: _Best | None = None
    epoch, began = 0, time.monotonic()
    for epoch in range(1, settings.epochs + 1):
        _learn(model, optimizer, _batches(train, settings.batch_size, seed, epoch), task)
        logits = predict(model, held_out, settings.batch_size, place)
        figures = judge(logits, parts.valid.targets, task)
        found = worth(figures.get(metric), metric)
        if best is None or found > best.worth:
            weights = {name: value.clone() for name, value in model.state_dict().items()}
            best = _Best(found, epoch, figures, weights)
        if _is_enough(settings, epoch - best.epoch, time.monotonic() - began):
            break
    assert best is not None
    model.load_state_dict(best.weights)
    return CnnRun(
        predict(model, asked, settings.batch_size, place),
        best.figures,
        sum(parameter.numel() for parameter in model.parameters()),
        epoch,
        best.epoch,
        time.monotonic() - began,
    )


def _learn(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterator[tuple[Tensor, Tensor]],
    task: Task,
) -> None:
    model.train()
    place = next(model.parameters()).device
    for ids, labels in batches:
        loss = classification_loss(model(ids.to(place)), labels.to(place), PROBLEM_TYPES[task])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's
        optimizer.step()


def _is_enough(settings: CnnSettings, without_gain: int, seconds: float) -> bool:
    lost = settings.patience is not None and without_gain >= settings.patience
    return lost or (settings.max_minutes is not None and seconds >= 60 * settings.max_minutes)


def _tensors(part: LabelledPart, length: int) -> tuple[Tensor, Tensor]:
    """Return token ids (rows, length) as bytes, and labels (rows,) or (rows, labels)."""
    examples = part.examples(length, conjoin=False)
    ids, labels = [], []
    for first in range(0, len(examples), READ):
        rows = range(first, min(first + READ, len(examples)))
        columns = examples.__getitems__(rows).columns
        ids.append(columns["input_ids"].to(torch.uint8))
        labels.append(columns["labels"])
    return torch.cat(ids), torch.cat(labels)


def _batches(
    data: tuple[Tensor, Tensor], size: int, seed: int, epoch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield full batches of an epoch in an order of its own; the few rows left over wait."""
    ids, labels = data
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(len(ids), generator=generator)
    size = min(size, len(ids))
    for first in range(0, len(ids) - size + 1, size):
        rows = order[first : first + size]
        yield ids[rows].long(), labels[rows]


@torch.no_grad()
def predict(model: nn.Module, ids: Tensor, batch_size: int, device: torch.device) -> Scores:
    """Return the logits (rows, outputs) of token ids; the model is left in evaluation mode."""
    model.eval()
    logits = [
        model(ids[first : first + batch_size].long().to(device)).double().cpu()
        for first in range(0, len(ids), batch_size)
    ]
    return np.asarray(torch.cat(logits).numpy())
