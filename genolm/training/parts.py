"""What fine-tuning asks of a labelled set, whether its rows are sequences or variants."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from genolm.data.batch import Batch, Item
from genolm.data.labels import LabelSpace, Task


class Rows(Protocol):
    """What was read, row by row."""

    @property
    def labels(self) -> list[str]:
        """The label of every row, as text."""

    def __len__(self) -> int:
        """Return the number of rows."""


class PartExamples(Protocol):
    """Rows as a model reads them."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def __getitem__(self, index: int) -> Item:
        """Return the model's inputs, and ``labels``."""

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Return those of several rows at once."""


class Part(Protocol):
    """Rows and their labels as numbers."""

    @property
    def rows(self) -> Rows:
        """What was read."""

    @property
    def targets(self) -> NDArray[Any]:
        """Labels (rows,) or, for multilabel, (rows, classes)."""

    def examples(
        self, length: int, *, conjoin: bool = False, reverse: bool = False
    ) -> PartExamples:
        """Return the rows in order.

        Args:
            length: Tokens of a sequence.
            conjoin: Whether both strands are shown side by side.
            reverse: Whether the other strand is shown instead.
        """

    def name_columns(self) -> Sequence[str]:
        """Return the columns of a table of predictions that say which row is meant."""

    def name(self, row: int) -> Sequence[str]:
        """Return what stands in them."""


class Parts(Protocol):
    """A labelled set, split."""

    @property
    def space(self) -> LabelSpace:
        """What labels can be."""

    @property
    def train(self) -> Part:
        """Learned from."""

    @property
    def valid(self) -> Part:
        """Decides which epoch is kept."""

    @property
    def test(self) -> Part:
        """Judged once."""

    @property
    def learned(self) -> Part:
        """Train, with what was held out of it: what a baseline may learn from."""

    def digests(self) -> dict[str, str]:
        """Return a digest of each part's content."""

    @property
    def inputs(self) -> int:
        """Sequences that the model reads for an example."""

    def facts(self) -> dict[str, Any]:
        """Return what metrics.json says of the set, such as what test shares with train."""

    def warnings(self, length: int) -> Iterator[str]:
        """Yield what a reader of the test figures must know; inputs have ``length`` bases."""

    def describe(self, length: int) -> str:
        """Say what is trained on."""

    def baseline_scores(self, task: Task, seed: int) -> dict[str, NDArray[np.float64]]:
        """Return by name what baselines say of the test rows, as logits or values."""

    def strata_figures(
        self, scores: Mapping[str, NDArray[np.float64]], task: Task
    ) -> dict[str, dict[str, dict[str, dict[str, float | None]]]]:
        """Return what metrics.json says of parts of the test part; nothing where there are none.

        Args:
            scores: By name, logits or values of the test rows (rows, labels).
            task: What the labels are.
        """

    def constant_figures(self, task: Task) -> dict[str, dict[str, float | None]]:
        """Return by name the test figures of what says the same of every row."""
