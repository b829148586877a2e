"""What a fast mode is made of, and what it promises."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from genolm.data.edit_windows import GenomeWindows
from genolm.genome.edits import Edit
from genolm.models.backbone import GenolmModel
from genolm.scoring.batches import BatchSize
from genolm.scoring.fast_note import FastNote
from genolm.scoring.fast_store import FastStore

# Alleles that are looked at together. It is no matter of threads or batches, so that what shares a
# computation, and with it every number, depends on neither.
ALLELES_AT_ONCE: Final = 4096


class ScoresEdits(Protocol):
    """Anything that scores edits."""

    def score(self, edits: Sequence[Edit]) -> Mapping[str, NDArray[np.float64]]:
        """Return ``llr_fwd``, ``llr_rev`` and their mean ``llr`` for every edit (edits,)."""


class FastMode(ScoresEdits, Protocol):
    """A score function that is not exact, and says by how much."""

    @property
    def note(self) -> FastNote:
        """What an output says of it."""

    def account(self) -> str:
        """Return how many sites or alleles were scored which way, for the closing line."""


@dataclass(frozen=True, slots=True)
class FastParts:
    """What a fast mode is made of.

    Attributes:
        model: A language model in evaluation mode.
        genome: The reference bases.
        window: Bases of a window.
        batch_size: Windows a batch, or "auto".
        equivariant: Whether the model says the same of both strands by construction.
        exact: The exact score of the same model.
        store: Where calibrations are kept.
    """

    model: GenolmModel
    genome: GenomeWindows
    window: int
    batch_size: BatchSize
    equivariant: bool
    exact: ScoresEdits
    store: FastStore
