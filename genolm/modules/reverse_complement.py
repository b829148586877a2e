"""Reverse-complement equivariance, once, for any mixer, norm and head (Caduceus, section 3.2).

An equivariant stream has 2 d_model channels: the first half reads the strand given, the second
half the opposite strand, stored backwards. Flipping length and channels of the whole stream is
then what reverse-complementing the input does to it.

Inside a model the two halves are *stacked strands*: (2 batch, length, d_model), each strand in
its own reading direction. Any module without knowledge of the batch is equivariant on them, and
runs once instead of twice; only the borders of the model pay for flips.

The fused blocks of Caduceus-PS exchange the strands before each norm. Each strand would have to be
flipped, since its new place reads in the other direction: instead the strands stay where they are
and count as *mirrored*, stored backwards in positions and channels, and modules that are told so
turn their small weights round and run the other way.

Where sequences are shared over processes, these flips at the borders of the model are exchanges
with the process of the mirrored slice; inside, both strands are slices like any other.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genolm.modules.linear import Linear, exact_linear
from genolm.modules.precision import at_least_float32
from genolm.parallel import flip_length


def split_strands(stream: Tensor) -> Tensor:
    """Stack the strands of a stream.

    Args:
        stream: Stream (batch, length, 2 d_model).

    Returns:
        Stacked strands (2 batch, length, d_model).
    """
    forward, backward = stream.chunk(2, dim=-1)
    return torch.cat([forward, flip_length(backward, 2)])


def join_strands(strands: Tensor, *, mirrored: bool = False) -> Tensor:
    """Undo `split_strands`.

    Args:
        strands: Stacked strands (2 batch, length, d_model).
        mirrored: Whether they are stored backwards, each in the other one's place.

    Returns:
        Stream (batch, length, 2 d_model).
    """
    forward, backward = strands.chunk(2)
    if mirrored:
        return torch.cat([flip_length(backward, 2), forward], dim=-1)
    return torch.cat([forward, flip_length(backward, 2)], dim=-1)


def complement_tensor(complement: Sequence[int]) -> Tensor:
    """Token id to the id of its complement, as the buffer that checkpoints carry."""
    return torch.tensor(list(complement), dtype=torch.long)


class RCPSWrapper(nn.Module):
    """One module for both strands; its only work is the name that checkpoints give it.

    Args:
        submodule: Module (batch, length, d_model) to the same shape.
    """

    def __init__(self, submodule: nn.Module) -> None:
        super().__init__()
        self.submodule = submodule

    def forward(self, strands: Tensor, *, mirrored: bool = False) -> Tensor:
        """Apply the module to stacked strands (2 batch, length, d_model).

        Args:
            strands: Stacked strands.
            mirrored: Whether they are stored backwards; only modules that can be told take it.
        """
        out: Tensor = (
            self.submodule(strands, mirrored=True) if mirrored else self.submodule(strands)
        )
        return out


class Complementing(nn.Module):
    """A module that knows the complement of every token.

    Args:
        complement: Token id to the id of its complement.
    """

    complement_map: Tensor

    def __init__(self, complement: Sequence[int]) -> None:
        super().__init__()
        self._complement = tuple(complement)
        self.register_buffer("complement_map", complement_tensor(complement))

    def initial_values(self) -> dict[str, Tensor]:
        """The complement map of the config."""
        return {"complement_map": complement_tensor(self._complement)}

    def resize_vocabulary(self, vocab_size: int) -> None:
        """Drop the last tokens, or add some that are their own complement."""
        known = self.complement_map[:vocab_size]
        added = torch.arange(len(known), vocab_size, device=known.device)
        self.complement_map = torch.cat([known, added])
        self._complement = tuple(self.complement_map.tolist())


class RCPSEmbedding(Complementing):
    """Embed the sequence and its reverse complement with one table.

    Args:
        vocab_size: Number of rows.
        d_model: Number of channels of one strand.
        complement: Token id to the id of its complement.
    """

    def __init__(self, vocab_size: int, d_model: int, complement: Sequence[int]) -> None:
        super().__init__(complement)
        self.embedding: nn.Module = nn.Embedding(vocab_size, d_model)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Embed ids (batch, length) as stacked strands (2 batch, length, d_model)."""
        opposite = self.complement_map[flip_length(input_ids)]
        strands: Tensor = self.embedding(torch.cat([input_ids, opposite]))
        return strands


class RCPSHead(Complementing):
    """Read tokens from a stream: h₁ Wᵀ + flip(h₂) W[complement]ᵀ, flipping channels only.

    Args:
        vocab_size: Number of tokens.
        d_model: Number of channels of one strand.
        complement: Token id to the id of its complement.
    """

    def __init__(self, vocab_size: int, d_model: int, complement: Sequence[int]) -> None:
        super().__init__(complement)
        self.lm_head = Linear(d_model, vocab_size, bias=False, full_precision=True)

    def forward(self, stream: Tensor) -> Tensor:
        """Map a stream (batch, length, 2 d_model) to logits (batch, length, vocab_size)."""
        # Flipping the small weight instead of the long stream makes this one matrix product.
        weight = self.lm_head.weight
        both = torch.cat([weight, weight[self.complement_map].flip(1)], dim=1)
        return at_least_float32(exact_linear(stream, both))
