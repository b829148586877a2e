"""What an allele changes in a classifier's outputs: logits (or values) of ALT minus REF.

Both windows are prepared as `genolm predict` prepares a sequence of the same bases, so that a
delta is the difference of two predictions; both strands are read where the model conjoins them or
is equivariant, else the forward strand, on which its labels are defined.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from genolm.data.edit_windows import GenomeWindows, alt_ids, place
from genolm.errors import UsageError
from genolm.genome.edits import Edit
from genolm.models.backbone import GenolmModel
from genolm.models.classification import SequenceClassifier
from genolm.scoring.batches import BatchSize
from genolm.scoring.predict import SequencePredictor
from genolm.tokenization.encode import decode


class ClassDeltas:
    """Scores edits with a fine-tuned model.

    Args:
        predictor: The model.
        genome: The reference bases.
        window: Bases of every window.
    """

    def __init__(self, predictor: SequencePredictor, genome: GenomeWindows, window: int) -> None:
        self._predictor = predictor
        self._genome = genome
        self._window = window

    def score(self, edits: Sequence[Edit]) -> Mapping[str, NDArray[np.float64]]:
        """Return the change of every output for every edit, as ``delta_<number>`` (edits,)."""
        numbers: dict[bytes, int] = {}
        pairs = [
            [numbers.setdefault(ids.tobytes(), len(numbers)) for ids in self._windows(edit)]
            for edit in edits
        ]
        texts = [decode(np.frombuffer(ids, dtype=np.uint8)) for ids in numbers]
        logits = self._predictor.logits(texts)
        index = np.array(pairs, dtype=np.int64).reshape(len(edits), 2)
        change = logits[index[:, 1]] - logits[index[:, 0]]
        return {f"delta_{number}": change[:, number] for number in range(change.shape[1])}

    def _windows(self, edit: Edit) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        placed = place(edit, self._window, self._genome.contigs[edit.contig])
        ids = self._genome.ids(edit.contig, placed.ref, placed.ref + self._window)
        return ids, alt_ids(self._genome, edit, placed.alt, self._window)


def make_deltas(
    model: GenolmModel, genome: GenomeWindows, window: int, batch_size: BatchSize
) -> ClassDeltas:
    """Return what scores edits with a fine-tuned model.

    Raises:
        UsageError: The model is no classifier or regressor, or reads fewer bases.
    """
    if not isinstance(model, SequenceClassifier):
        raise UsageError("--scores delta needs a fine-tuned classifier or regressor")
    predictor = SequencePredictor(model, batch_size=batch_size)
    if predictor.length is not None and window > predictor.length:
        raise UsageError(
            f"a window of {window} bases is too long: the classifier reads {predictor.length}"
        )
    return ClassDeltas(predictor, genome, window)
