"""Several genomes as one stream of samples, each with its share of it.

Which genome sample i shows, and the how manieth of that genome's own samples it is, follows from i
and the shares alone: the first of k genomes with shares w has the samples at which
``floor(i w_1 / sum w)`` grows, the second has its share of what is left, and so on. So the shares
hold not only on average but in every stretch of a run, to within a sample for each genome.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from genolm.data.batch import Batch, Item
from genolm.data.language import LanguageDataset

_FINEST: Final = 1 << 24
"""Shares are whole numbers, so that they are exact; weights that are not are told to this part."""


def to_shares(weights: Sequence[float]) -> list[int]:
    """Return weights as whole numbers in the same proportion.

    Args:
        weights: Above 0 (genomes,).
    """
    small = sum(weights) <= _FINEST
    if small and all(float(weight).is_integer() for weight in weights):
        return [int(weight) for weight in weights]
    total = sum(Fraction(weight) for weight in weights)
    return [max(1, round(Fraction(weight) / total * _FINEST)) for weight in weights]


def share_out(
    samples: NDArray[np.int64], shares: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return whose each sample is, and the how manieth of its owner's.

    Args:
        samples: Numbers of samples, at least 0 (batch,).
        shares: Of the owners, whole numbers above 0 (owners,).

    Returns:
        Owner (batch,) and number within its samples (batch,).
    """
    owner = np.full(len(samples), len(shares) - 1, dtype=np.int64)
    within = samples.astype(np.int64)
    undecided = np.ones(len(samples), dtype=np.bool_)
    left = sum(shares)
    for number, share in enumerate(shares[:-1]):
        before = within * share // left
        mine = undecided & ((within + 1) * share // left > before)
        owner[mine] = number
        within = np.where(mine, before, np.where(undecided, within - before, within))
        undecided &= ~mine
        left -= share
    return owner, within


def count_shares(samples: int, shares: Sequence[int]) -> list[int]:
    """Return how many of the first samples each owner has (owners,)."""
    counts, rest, left = [], samples, sum(shares)
    for share in shares:
        counts.append(rest * share // left)
        rest -= counts[-1]
        left -= share
    return counts


class MixedDataset(Dataset[Item]):
    """Samples of several genomes.

    Args:
        parts: The samples of each genome by its name, as many as it will be asked for.
        shares: Of the genomes, whole numbers.
        samples: Number of samples in all.
        stages: As of :class:`LanguageDataset`, by the number of the sample in the mixture.
    """

    def __init__(
        self,
        parts: Mapping[str, LanguageDataset],
        shares: Sequence[int],
        samples: int,
        stages: Sequence[tuple[int, int]] = (),
    ) -> None:
        if len(parts) != len(shares) or not all(share > 0 for share in shares):
            raise ValueError(f"{len(parts)} genomes need as many shares above 0, got {shares}")
        if samples * sum(shares) >= 2**63:
            raise ValueError(f"{samples} samples are too many for shares of {shares}")
        self.parts = dict(parts)
        self.shares = tuple(shares)
        self.samples = samples
        self.stages = tuple(stages)

    def __len__(self) -> int:
        return self.samples

    def _locate(self, indices: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        wanted = np.array(indices, dtype=np.int64)
        if wanted.min() < 0 or wanted.max() >= self.samples:
            raise IndexError(f"samples are numbered 0 to {self.samples - 1}, got {indices}")
        return share_out(wanted, self.shares)

    def names(self, indices: range) -> list[str]:
        """Return what samples show, before it is shifted: ``human:chr1:100-200``."""
        owners, within = self._locate(indices)
        found = []
        for owner, number in zip(owners.tolist(), within.tolist(), strict=True):
            name, part = list(self.parts.items())[owner]
            found += [f"{name}:{window}" for window in part.names(range(number, number + 1))]
        return found

    def __getitem__(self, index: int) -> Item:
        """Return ``input_ids`` and ``labels``, both (length,), int64."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> Batch:
        """Return several samples at once: the same ones, faster."""
        owners, within = self._locate(indices)
        columns: dict[str, torch.Tensor] = {}
        for number, part in enumerate(self.parts.values()):
            mine = np.flatnonzero(owners == number)
            if len(mine):
                rows = torch.from_numpy(mine)
                for name, read in part.__getitems__(within[mine].tolist()).columns.items():
                    if name not in columns:
                        columns[name] = read.new_empty((len(indices), read.shape[1]))
                    columns[name][rows] = read
        return Batch(columns, indices, self.stages)
