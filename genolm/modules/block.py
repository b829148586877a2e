"""The two kinds of block: a mixer alone (Mamba, Caduceus), and a mixer with an MLP (HyenaDNA)."""

from torch import Tensor, nn

from genolm.modules.mlp import MLP
from genolm.modules.precision import at_least_float32
from genolm.modules.reverse_complement import exchange_strands


class MixerBlock(nn.Module):
    """Add, normalise, mix: the residual stream travels beside the mixer's output.

    Args:
        mixer: Module (batch, length, d_model) to the same shape.
        norm: Norm over channels.
        exchange: Whether the strands change places before the norm (fused Caduceus-PS).
    """

    def __init__(self, mixer: nn.Module, norm: nn.Module, *, exchange: bool = False) -> None:
        super().__init__()
        self.mixer = mixer
        self.norm = norm
        self.exchange = exchange

    def forward(self, hidden: Tensor, residual: Tensor | None) -> tuple[Tensor, Tensor]:
        """Run one block.

        Args:
            hidden: The last mixer's output, or the embedding (batch, length, d_model).
            residual: Sum of everything before it, in float32 at least; None at the first block.

        Returns:
            The mixer's output and the new residual, in the shapes given.
        """
        residual = add_residual(hidden, residual)
        if self.exchange:
            residual = exchange_strands(residual)
        return self.mixer(self.norm(residual)), residual


class MixerMLPBlock(nn.Module):
    """Pre-norm mixer and pre-norm MLP, each added to the stream.

    Args:
        mixer: Module (batch, length, d_model) to the same shape.
        mlp: Position-wise network.
        norms: The norms before the mixer and before the MLP.
    """

    def __init__(self, mixer: nn.Module, mlp: MLP, norms: tuple[nn.Module, nn.Module]) -> None:
        super().__init__()
        self.mixer = mixer
        self.mlp = mlp
        self.norm1, self.norm2 = norms

    def forward(self, stream: Tensor) -> Tensor:
        """Run one block on the residual stream (batch, length, d_model), float32 at least."""
        stream = stream + self.mixer(self.norm1(stream))
        mixed: Tensor = stream + self.mlp(self.norm2(stream))
        return mixed


def add_residual(hidden: Tensor, residual: Tensor | None) -> Tensor:
    """Add a block's output (batch, length, d_model) to the residual, if there is one yet."""
    return at_least_float32(hidden) if residual is None else hidden + residual
