"""Embeddings of sequences: the hidden states of any model, pooled or base by base.

Sequences of one length are run together and no sequence is ever padded or cut, so that an
embedding depends on nothing but the sequence, the model and the choices made here.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genolm.errors import InputError, UsageError
from genolm.heads.pooling import pool
from genolm.models.auto import maximum_length
from genolm.models.backbone import GenolmModel
from genolm.models.configuration import GenolmConfig
from genolm.modules.precision import at_least_float32
from genolm.scoring.batches import Batches, BatchSize
from genolm.tokenization.encode import encode

Pool = Literal["mean", "max", "first", "last", "none"]
POOLS: Final = get_args(Pool)


def check_finite(vectors: NDArray[Any]) -> None:
    """Make sure that a model's numbers are numbers.

    Raises:
        ValueError: They are not.
    """
    if not np.isfinite(vectors).all():
        raise ValueError(
            "the model's numbers are not finite: its weights are damaged, or the numbers are"
            " too large for this --dtype (try float32)"
        )


class SequenceEmbedder:
    """A model of any task, ready to embed.

    An equivariant model has states of both strands at every base; their mean is taken, so that its
    mean and max embeddings are the same for a sequence and its reverse complement.

    Args:
        model: Any model; it is put into evaluation mode. A head takes no part.
        layer: Which of the model's ``hidden_states`` (transformers' ``output_hidden_states``);
            negative counts from the last. None means the final normed states.
        pool: How the states of a sequence become one vector; "none" keeps every base's.
        batch_size: Sequences a batch, or "auto".

    Attributes:
        batches: How sequences are put together.
        width: Numbers in a vector.
        length: Bases that the model reads at most; None for no limit.

    Raises:
        UsageError: There is no such layer or way of pooling.
    """

    def __init__(
        self,
        model: GenolmModel,
        *,
        layer: int | None = None,
        pool: Pool = "mean",
        batch_size: BatchSize = "auto",
    ) -> None:
        if pool not in POOLS:
            raise UsageError(f"pool {pool!r}: choose one of {', '.join(POOLS)}")
        config = cast(GenolmConfig, model.config)
        model.eval()  # type: ignore[no-untyped-call]  # transformers' own
        self._backbone = model.base_model
        self._both_strands = bool(getattr(config, "rcps", False))
        self.batches = Batches(next(model.parameters()).device, batch_size)
        self._layer = layer
        self._pool = pool
        self.length: int | None = maximum_length(config)
        self.width = config.d_model
        if layer is not None:
            self._check_layer(layer)

    def _check_layer(self, layer: int) -> None:
        ids = torch.from_numpy(encode("A").ids.astype(np.int64))[None].to(self.batches.device)
        with torch.inference_mode():
            states = self._backbone(ids, output_hidden_states=True).hidden_states
        if not -len(states) <= layer < len(states):
            raise UsageError(
                f"layer {layer}: this model has {len(states)}, 0 to {len(states) - 1} from the"
                " embedding to the last, or negative from the end"
            )

    def embed(self, sequences: Sequence[str]) -> list[NDArray[np.float32]]:
        """Embed sequences; neither their order nor the batches change a vector.

        Args:
            sequences: Bases in either case, none of them empty.

        Returns:
            For each an array (1, width), or (bases, width) when nothing is pooled.

        Raises:
            InputError: A sequence is longer than the model reads.
            ValueError: The model's numbers are not finite.
        """
        by_length: dict[int, list[int]] = {}
        for number, sequence in enumerate(sequences):
            by_length.setdefault(len(sequence), []).append(number)
        self._check_length(max(by_length, default=0))
        found: dict[int, NDArray[np.float32]] = {}
        for length, numbers in by_length.items():
            ids = [encode(sequences[number]).ids for number in numbers]
            rows = [row for batch in self.batches.run(self._run, ids, length) for row in batch]
            found |= zip(numbers, rows, strict=True)
        return [found[number] for number in range(len(sequences))]

    def _check_length(self, longest: int) -> None:
        if self.length is not None and longest > self.length:
            raise InputError(
                f"a sequence of {longest:,} bases: this model reads {self.length:,} at most;"
                " cut the longer ones into pieces"
            )

    def _run(self, ids: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        batch = torch.from_numpy(np.stack(ids).astype(np.int64)).to(self.batches.device)
        states = self.states(batch)
        pooled = states if self._pool == "none" else pool(states, self._pool)[:, None]
        vectors: NDArray[np.float32] = pooled.float().cpu().numpy()
        check_finite(vectors)
        return vectors

    def states(self, ids: Tensor) -> Tensor:
        """Run the model without pooling.

        Args:
            ids: Token ids (batch, length).

        Returns:
            States (batch, length, width), in float32 at least.
        """
        ids = ids.to(self.batches.device)
        keep = self._layer is not None
        output = self._backbone(ids, output_hidden_states=keep, return_dict=True)
        states = output.last_hidden_state if self._layer is None else None
        if states is None:
            states = output.hidden_states[self._layer]
        return self.merge_strands(states)

    def merge_strands(self, states: Tensor) -> Tensor:
        """Return states (batch, length, width) from those of the model, in float32 at least."""
        states = at_least_float32(states)
        if not self._both_strands:
            return states
        # The second half holds the other strand with its channels in reverse order.
        forward, backward = states.chunk(2, dim=-1)
        return (forward + backward.flip(-1)) / 2
