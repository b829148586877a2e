"""A linear model of k-mer counts beside a classifier's head: what composition alone says.

Logistic regression on k-mers is hard to beat where composition is what matters (coding sequence,
enhancers), and a small network spends its time on learning it anew. Here the regression is a fixed
term of the logits, and the network learns what it leaves open (a wide part beside a deep one, Cheng
et al. 2016). While training, each sequence is scored by a regression that never saw it, so that the
term is no better in training than it will be on new sequences; and it is hidden from half of the
rows, so that the network learns the whole task, too.
"""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from genolm.heads.sequence import FIRST_BASE_ID
from genolm.modules.initial import set_initial_values

FOLDS: Final = 5
"""Regressions of training, each of which did not see a fifth of the sequences."""

HIDDEN: Final = 0.5
"""Share of a batch's rows that are trained without the term. Never hidden, it kept the network from
learning what words tell as well (GUE's mouse_tf_0: AUROC .883 against .895, same seed)."""

FOLD_SEED: Final = 20_161
"""Of the multipliers that assign sequences to folds: a run that is resumed has the same folds."""


class KmerTerm(nn.Module):
    """Logits of tf-idf weights of all words of ``longest - 2`` to ``longest`` bases.

    Args:
        longest: Bases of the longest words.
        labels: Outputs.
        both: Whether the words of the other strand count, too: the same is said of both.
    """

    weight: Tensor
    bias: Tensor
    rarity: Tensor
    fold_weights: Tensor | None
    fold_biases: Tensor | None

    def __init__(self, longest: int, labels: int, *, both: bool) -> None:
        super().__init__()
        self.sizes = tuple(range(max(1, longest - 2), longest + 1))
        self.both = both
        self.features = sum(4**size for size in self.sizes)
        self.register_buffer("weight", torch.empty(self.features, labels))
        self.register_buffer("bias", torch.empty(labels))
        self.register_buffer("rarity", torch.empty(self.features))
        self.register_buffer("fold_weights", None, persistent=False)
        self.register_buffer("fold_biases", None, persistent=False)
        set_initial_values(self)

    @torch.no_grad()
    def set_regressions(self, rarity: Tensor, weights: Tensor, biases: Tensor) -> None:
        """Take over regressions of the words' tf-idf weights.

        Args:
            rarity: Inverse document frequency of every word (features,).
            weights: Of all rows first, then of those of every fold but one, in order: (1 + FOLDS,
                features, labels).
            biases: (1 + FOLDS, labels).
        """
        self.rarity.copy_(rarity)
        self.weight.copy_(weights[0])
        self.bias.copy_(biases[0])
        self.fold_weights = weights[1:].to(self.weight)
        self.fold_biases = biases[1:].to(self.bias)

    @property
    def learned(self) -> int:
        """Numbers that a regression learned."""
        return self.weight.numel() + self.bias.numel()

    def initial_values(self) -> dict[str, Tensor]:
        """Return the values of a term that says nothing."""
        return {
            "weight": torch.zeros_like(self.weight),
            "bias": torch.zeros_like(self.bias),
            "rarity": torch.ones_like(self.rarity),
        }

    def forward(self, input_ids: Tensor) -> Tensor:
        """Score token ids (batch, length); logits (batch, labels), at least float32."""
        counts = self.count(input_ids)
        features = self.weigh(counts)
        if not self.training or self.fold_weights is None or self.fold_biases is None:
            return features @ self.weight + self.bias
        fold = self.fold(counts)
        every = torch.einsum("bf,kfl->bkl", features, self.fold_weights) + self.fold_biases
        shown = every[torch.arange(len(fold), device=fold.device), fold]
        return shown * torch.rand_like(shown[:, :1]).ge(HIDDEN)

    def count(self, input_ids: Tensor) -> Tensor:
        """Count the words of token ids (batch, length): (batch, features), shorter words first.

        A word with anything but A, C, G and T is left out.
        """
        bases = input_ids.long() - FIRST_BASE_ID
        known = (bases >= 0) & (bases < 4)
        bases = bases.clamp(0, 3)
        counts = [_count(bases, known, size) for size in self.sizes]
        if self.both:
            other = (3 - bases).flip(1), known.flip(1)
            counts = [
                one + _count(*other, size) for one, size in zip(counts, self.sizes, strict=True)
            ]
        return torch.cat(counts, dim=1)

    def weigh(self, counts: Tensor) -> Tensor:
        """Turn counts into tf-idf weights with logarithmic counts, each row of length 1 or 0."""
        dtype = self.weight.dtype
        tall = torch.where(counts > 0, counts.clamp(min=1).to(dtype).log() + 1, 0)
        return functional.normalize(tall * self.rarity, dim=1)

    def fold(self, counts: Tensor) -> Tensor:
        """Return the fold of each row of counts (batch,): a function of the words it holds.

        Copies of a sequence, and with `both` its reverse complement, are in one fold.
        """
        draw = torch.Generator().manual_seed(FOLD_SEED)
        multipliers = torch.randint(1 << 20, (counts.shape[1],), generator=draw)
        total = (counts.long() * multipliers.to(counts.device)).sum(dim=1)
        return (total >> 3) % FOLDS


def _count(bases: Tensor, known: Tensor, size: int) -> Tensor:
    words = 4**size
    counts = torch.zeros(len(bases), words, dtype=torch.int32, device=bases.device)
    if bases.shape[1] < size:
        return counts
    places = bases.shape[1] - size + 1
    code = torch.zeros_like(bases[:, :places])
    whole = torch.ones_like(known[:, :places])
    for offset in range(size):
        code = 4 * code + bases[:, offset : offset + places]
        whole = whole & known[:, offset : offset + places]
    return counts.scatter_add_(1, code, whole.int())
