"""What a causal Mamba model remembers of a sequence, and its blocks run on from there."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from torch import Tensor, nn

from genolm.mixers import Unidirectional
from genolm.mixers.mamba import Mamba, MambaState
from genolm.modules.block import MixerBlock, add_and_normalise


@dataclass(frozen=True)
class CausalCache:
    """All that is remembered of the positions read so far, whatever their number.

    Attributes:
        layers: What each mixer remembers, of a batch of sequences.
    """

    layers: tuple[MambaState, ...]

    @classmethod
    def of(cls, tensors: Sequence[Tensor]) -> Self:
        """Put together what `tensors` took apart."""
        pairs = zip(tensors[::2], tensors[1::2], strict=True)
        return cls(tuple(MambaState(window, ssm) for window, ssm in pairs))

    def each(self, function: Callable[[Tensor], Tensor]) -> "CausalCache":
        """Apply a function to every tensor; their first axis is the batch."""
        return CausalCache(
            tuple(MambaState(function(one.window), function(one.ssm)) for one in self.layers)
        )

    def rows(self, index: Tensor) -> "CausalCache":
        """Return what is remembered of some sequences, in any order and number: index (n,)."""
        return self.each(lambda tensor: tensor.index_select(0, index))

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Every tensor, layer by layer."""
        return tuple(tensor for one in self.layers for tensor in (one.window, one.ssm))


def resumable(blocks: Iterable[nn.Module]) -> bool:
    """Whether these are the blocks of a plain Mamba, which remembers in constant memory."""
    return all(
        isinstance(block, MixerBlock)
        and isinstance(block.mixer, Unidirectional)
        and isinstance(block.mixer.mamba_fwd, Mamba)
        for block in blocks
    )


def resume_blocks(
    blocks: Iterable[nn.Module], hidden: Tensor, cache: CausalCache | None
) -> tuple[Tensor, Tensor | None, CausalCache]:
    """Run blocks over positions that follow those remembered.

    Args:
        blocks: As `resumable` wants them.
        hidden: Embedded positions (batch, length, d_model).
        cache: What is remembered of the positions before; None for nothing.

    Returns:
        The last block's output, the residual stream before it (None if there is no block), and
        what is remembered after the last position.
    """
    residual = None
    states: list[MambaState] = []
    for number, block in enumerate(blocks):
        assert isinstance(block, MixerBlock)
        assert isinstance(block.mixer, Unidirectional)
        mixer = block.mixer.mamba_fwd
        assert isinstance(mixer, Mamba)
        normed, residual = add_and_normalise(block.norm, hidden, residual)
        hidden, state = mixer.resume(normed, None if cache is None else cache.layers[number])
        states.append(state)
    return hidden, residual, CausalCache(tuple(states))
