"""Predict the class of every base of sequences with a fine-tuned model."""

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from genolm.data.base_labels import describe_classes
from genolm.data.columns import Column, Value
from genolm.data.labelled_dataset import LabelledDataset
from genolm.errors import InputError
from genolm.models.auto import maximum_length
from genolm.models.configuration import GenolmConfig
from genolm.models.token_classification import TokenClassifier
from genolm.scoring.batches import Batches, BatchSize
from genolm.scoring.predict import LABEL, SEPARATOR, softmax
from genolm.scoring.sequences import Row


class TokenPredictor:
    """A fine-tuned model that gives every base a class, ready to predict.

    Sequences are read whole, also those that are longer than what the model was trained on: a base
    that was left out would have no class.

    Args:
        model: A token classifier; it is put into evaluation mode.
        batch_size: Sequences a batch, or "auto".
        probabilities: Whether to give the probability of every class for every base, too.

    Attributes:
        columns: The classes as text: one character a base where all class names are one, else
            stretches (``0-12:background;12-40:exon``). Then on request ``p_<class>`` of every
            class, a number for each base (``0.98;0.91;0.04``).
        length: Bases that the model reads at most; None for no limit.
        names: Of the classes.
        truncated: Always 0.
    """

    def __init__(
        self,
        model: TokenClassifier,
        *,
        batch_size: BatchSize = "auto",
        probabilities: bool = False,
    ) -> None:
        config = cast(GenolmConfig, model.config)
        model.eval()  # type: ignore[no-untyped-call]  # transformers' own
        self._model = model
        self._batches = Batches(next(model.parameters()).device, batch_size)
        self.length = maximum_length(config)
        self._padding = 0 if config.mask_padding else config.training_length or 0
        labels = cast(dict[int, str], config.id2label or {})
        self.names = [str(labels.get(i, i)) for i in range(int(config.num_labels or 1))]
        told = self.names if probabilities else []
        self.columns = [Column(LABEL, "text"), *(Column(f"p_{name}", "text") for name in told)]
        self.truncated = 0

    def predict(self, sequences: Sequence[str]) -> list[list[Value]]:
        """Return the value of ``columns`` for every sequence; batches do not change it.

        Args:
            sequences: Bases in either case, of a length that the model reads.
        """
        found = self.logits(sequences)
        return [
            [describe_classes(logits.argmax(axis=1), self.names), *self._shares(logits)]
            for logits in found
        ]

    def logits(self, sequences: Sequence[str]) -> list[NDArray[np.float64]]:
        """Return the outputs of the model for every base of every sequence, (bases, classes) each.

        Args:
            sequences: Bases in either case, of a length that the model reads.
        """
        lengths = [max(len(sequence), self._padding) for sequence in sequences]
        logits: dict[int, NDArray[np.float64]] = {}
        for length in sorted(set(lengths)):
            chosen = [i for i, own in enumerate(lengths) if own == length]
            logits |= zip(chosen, self._logits([sequences[i] for i in chosen], length), strict=True)
        return [logits[i] for i in range(len(sequences))]

    def _shares(self, logits: NDArray[np.float64]) -> list[Value]:
        """Return a text for each ``p_<class>`` column."""
        if len(self.columns) == 1:
            return []
        return [SEPARATOR.join(f"{p:.6g}" for p in own) for own in softmax(logits).T.tolist()]

    def require_fit(self, rows: Sequence[Row]) -> None:
        """Refuse sequences that the model cannot read whole.

        Raises:
            InputError: Naming the first one.
        """
        for row in rows:
            if self.length is not None and len(row.sequence) > self.length:
                raise InputError(
                    f"{row.source}: the sequence has {len(row.sequence):,} bases, and the model"
                    f" reads at most {self.length:,}: split it"
                )

    def _logits(self, sequences: Sequence[str], length: int) -> list[NDArray[np.float64]]:
        inputs = LabelledDataset(sequences, length=length, conjoin=self._model.conjoins)

        def run(numbers: Sequence[int]) -> NDArray[np.float64]:
            ids = inputs.__getitems__(numbers).columns["input_ids"].to(self._batches.device)
            found: NDArray[np.float64] = self._model(ids).logits.double().cpu().numpy()
            return found

        found = np.concatenate(self._batches.run(run, range(len(inputs)), length))
        if not np.isfinite(found).all():
            raise ValueError(
                "the model's numbers are not finite: its weights are damaged, or the numbers are"
                " too large for this --dtype (try float32)"
            )
        # Padding stands on the left.
        return [
            own[length - len(sequence) :] for own, sequence in zip(found, sequences, strict=True)
        ]
