"""Predict labels of sequences with a fine-tuned model.

Sequences are prepared as in fine-tuning: padded on the left to the length the model was trained on,
longer ones cut at the right end, both strands shown where the model conjoins them.
"""

from collections.abc import Sequence
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from genolm.data.columns import Column, Value
from genolm.data.labelled_dataset import LabelledDataset
from genolm.errors import UsageError
from genolm.models.auto import maximum_length
from genolm.models.backbone import GenolmModel
from genolm.models.classification import SequenceClassifier
from genolm.models.configuration import GenolmConfig
from genolm.models.variant_effect import VariantEffectModel
from genolm.scoring.batches import Batches, BatchSize

LABEL: Final = "prediction"
SEPARATOR: Final = ";"
"""Between the labels of a multi-label prediction, as in the training table, and between bases."""


class SequencePredictor:
    """A fine-tuned model, ready to predict.

    Args:
        model: A sequence classifier or regressor; it is put into evaluation mode.
        batch_size: Sequences a batch, or "auto".

    Attributes:
        columns: What is predicted, in the order of ``predict``: the prediction, and for a
            classifier the probability ``p_<class>`` of every class.
        length: Bases that the model reads at most; None for no limit.
        outputs: Name of every output, in order.
        truncated: Sequences so far that were longer than the model's length.

    Raises:
        UsageError: The model is no classifier.
    """

    def __init__(self, model: GenolmModel, *, batch_size: BatchSize = "auto") -> None:
        if isinstance(model, VariantEffectModel):
            raise UsageError("the model is about variants, not sequences: use `genolm score`")
        if not isinstance(model, SequenceClassifier):
            raise UsageError(
                "the model is a language model; predictions need a fine-tuned one"
                " (`genolm finetune`)"
            )
        config = cast(GenolmConfig, model.config)
        model.eval()  # type: ignore[no-untyped-call]  # transformers' own
        self._model = model
        self._batches = Batches(next(model.parameters()).device, batch_size)
        self.length: int | None = config.training_length or maximum_length(config)
        # Where padding is left out, nothing is padded: sequences of one length are a batch instead.
        self._padded = config.training_length is not None and not config.mask_padding
        self._outputs = int(config.num_labels or 1)
        self._multilabel = config.problem_type == "multi_label_classification"
        labels = cast(dict[int, str], config.id2label or {})
        self.outputs = [str(labels.get(i, i)) for i in range(self._outputs)]
        self._names: list[str] = []
        if self._multilabel or (config.problem_type != "regression" and self._outputs > 1):
            self._names = self.outputs
        self.truncated = 0
        self.columns = self._columns()

    def _columns(self) -> list[Column]:
        if self._names:
            names = (f"p_{name}" for name in self._names)
            return [Column(LABEL, "text"), *(Column(name, "real") for name in names)]
        several = (f"{LABEL}_{i}" for i in range(self._outputs))
        headings = [LABEL] if self._outputs == 1 else several
        return [Column(heading, "real") for heading in headings]

    def predict(self, sequences: Sequence[str]) -> list[list[Value]]:
        """Return the values of ``columns`` for every sequence; batches do not change them.

        Args:
            sequences: Bases in either case.
        """
        return [self._values(row) for row in self.logits(sequences)]

    def logits(self, sequences: Sequence[str]) -> NDArray[np.float64]:
        """Return the outputs of the model for every sequence; batches do not change them.

        Args:
            sequences: Bases in either case.

        Returns:
            Logits, or values of a regressor (sequences, outputs).
        """
        lengths = [self._input_length(len(sequence)) for sequence in sequences]
        logits = np.zeros((len(sequences), self._outputs))
        for length in sorted(set(lengths)):
            chosen = [i for i, own in enumerate(lengths) if own == length]
            logits[chosen] = self._logits([sequences[i] for i in chosen], length)
        return logits

    def _input_length(self, bases: int) -> int:
        if self.length is None:
            return bases
        self.truncated += bases > self.length
        return self.length if self._padded else min(bases, self.length)

    def _logits(self, sequences: Sequence[str], length: int) -> NDArray[np.float64]:
        inputs = LabelledDataset(sequences, length=length, conjoin=self._model.conjoins)

        def run(numbers: Sequence[int]) -> NDArray[np.float64]:
            ids = inputs.__getitems__(numbers).columns["input_ids"].to(self._batches.device)
            found: NDArray[np.float64] = self._model(ids).logits.double().cpu().numpy()
            return found

        return np.concatenate(self._batches.run(run, range(len(inputs)), length))

    def _values(self, logits: NDArray[np.float64]) -> list[Value]:
        if not np.isfinite(logits).all():
            raise ValueError(
                "the model's numbers are not finite: its weights are damaged, or the numbers are"
                " too large for this --dtype (try float32)"
            )
        if not self._names:
            return [float(value) for value in logits]
        if self._multilabel:
            chances = 1 / (1 + np.exp(-logits))
            ones = [name for name, p in zip(self._names, chances, strict=True) if p >= 0.5]
            return [SEPARATOR.join(ones), *chances.tolist()]
        shares = softmax(logits)
        return [self._names[int(shares.argmax())], *shares.tolist()]


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities (..., classes)."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return shares
