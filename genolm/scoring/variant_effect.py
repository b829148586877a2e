"""What a model that was fine-tuned on variants says of an allele.

Windows and sites are prepared as in its training (`task: variant_effect`), so that the numbers are
those of the test predictions there.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from genolm.data.edit_windows import GenomeWindows
from genolm.data.variant_dataset import VariantDataset
from genolm.errors import UsageError
from genolm.genome.edits import Edit
from genolm.models.backbone import GenolmModel
from genolm.models.variant_effect import VariantEffectModel
from genolm.scoring.batches import Batches, BatchSize


class VariantEffects:
    """Scores edits with a variant-effect model.

    Args:
        model: The model, in evaluation mode.
        genome: The reference bases.
        window: Bases of every window.
        batch_size: Variants a batch, or "auto".
    """

    def __init__(
        self,
        model: VariantEffectModel,
        genome: GenomeWindows,
        window: int,
        *,
        batch_size: BatchSize = "auto",
    ) -> None:
        self._model = model
        self._genome = genome
        self._window = window
        self._batches = Batches(next(model.parameters()).device, batch_size)

    def score(self, edits: Sequence[Edit]) -> Mapping[str, NDArray[np.float64]]:
        """Return every output for every edit, as ``effect_<number>`` (edits,)."""
        conjoins = self._model.conjoins
        inputs = VariantDataset(edits, None, self._genome, window=self._window, conjoin=conjoins)

        def run(numbers: Sequence[int]) -> NDArray[np.float64]:
            items = [inputs[i] for i in numbers]
            batch = {
                name: torch.stack([item[name] for item in items]).to(self._batches.device)
                for name in items[0]
            }
            found: NDArray[np.float64] = self._model(**batch).logits.double().cpu().numpy()
            return found

        tokens = self._window * (4 if conjoins else 2)
        parts = self._batches.run(run, range(len(edits)), tokens)
        logits = np.concatenate([np.zeros((0, self._model.num_labels)), *parts])
        return {f"effect_{number}": logits[:, number] for number in range(logits.shape[1])}


def make_effects(
    model: GenolmModel, genome: GenomeWindows, window: int, batch_size: BatchSize
) -> VariantEffects:
    """Return what scores edits with a model that was fine-tuned on variants.

    Raises:
        UsageError: The model is none.
    """
    if not isinstance(model, VariantEffectModel):
        raise UsageError(
            "--scores effect needs a model that was fine-tuned with task: variant_effect"
        )
    return VariantEffects(model, genome, window, batch_size=batch_size)
