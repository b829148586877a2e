"""Embeddings of sequences by every layer of a model, from one reading of each sequence."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genolm.models.backbone import GenolmModel
from genolm.scoring.batches import BatchSize
from genolm.scoring.embeddings import Pool, SequenceEmbedder
from genolm.tokenization.encode import encode


class LayerEmbedder(SequenceEmbedder):
    """A model of any task, ready to embed sequences by all of its layers at once.

    Layer ``i`` is what :class:`SequenceEmbedder` gives for ``layer=i``; the last one is the final
    normed states.

    Args:
        model: Any model; it is put into evaluation mode. A head takes no part.
        pool: How the states of a sequence become one vector.
        batch_size: Sequences a batch, or "auto".

    Attributes:
        layers: Number of layers, the embedding and the final states included.

    Raises:
        UsageError: There is no such way of pooling.
    """

    def __init__(
        self, model: GenolmModel, *, pool: Pool = "mean", batch_size: BatchSize = "auto"
    ) -> None:
        super().__init__(model, pool=pool, batch_size=batch_size)
        self.layers = len(self._read(torch.from_numpy(encode("ACGT").ids.astype(np.int64))[None]))

    @torch.inference_mode()
    def _read(self, ids: Tensor) -> list[Tensor]:
        output = self._backbone(
            ids.to(self.batches.device), output_hidden_states=True, return_dict=True
        )
        states = list(output.hidden_states)
        # Some models return the final states among the others, some do not.
        if not torch.equal(states[-1], output.last_hidden_state):
            states.append(output.last_hidden_state)
        return states

    def states(self, ids: Tensor) -> Tensor:
        """Run the model without pooling.

        Args:
            ids: Token ids (batch, length).

        Returns:
            States (batch, length, layers * width), one layer's after another's.
        """
        return torch.cat([self.merge_strands(states) for states in self._read(ids)], dim=-1)

    def embed_layers(self, sequences: Sequence[str]) -> NDArray[np.float32]:
        """Embed sequences; neither their order nor the batches change a vector.

        Args:
            sequences: Bases in either case, none of them empty.

        Returns:
            Vectors (layers, sequences, width).

        Raises:
            InputError: A sequence is longer than the model reads.
            ValueError: The model's numbers are not finite.
        """
        rows = np.concatenate(self.embed(sequences))
        return rows.reshape(len(rows), self.layers, self.width).swapaxes(0, 1)
