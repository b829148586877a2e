"""The two kinds of block: a mixer alone (Mamba, Caduceus), and a mixer with an MLP (HyenaDNA)."""

from torch import Tensor, nn

from genolm.modules.mlp import MLP
from genolm.modules.norm import LayerNorm, RMSNorm
from genolm.modules.recompute import Recomputing
from genolm.modules.reverse_complement import RCPSWrapper


class MixerBlock(Recomputing):
    """Add, normalise, mix: the residual stream travels beside the mixer's output.

    Args:
        mixer: Module (batch, length, d_model) to the same shape.
        norm: RMSNorm or LayerNorm, or an RCPSWrapper around one.
    """

    def __init__(self, mixer: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.mixer = mixer
        self.norm = norm

    def forward(
        self, hidden: Tensor, residual: Tensor | None, mirrored: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Run one block.

        Args:
            hidden: The last mixer's output, or the embedding (batch, length, d_model).
            residual: Sum of everything before it, in float32 at least; None at the first block.
            mirrored: Whether both are stored backwards, as in every other block of a fused
                Caduceus-PS; what is returned is so too.

        Returns:
            The mixer's output and the new residual, in the shapes given.
        """
        normed, residual = add_and_normalise(self.norm, hidden, residual, mirrored=mirrored)
        # Only mixers that can be told are.
        mixed = self.part("mixer", normed, **({"mirrored": True} if mirrored else {}))
        return mixed, residual


class MixerMLPBlock(Recomputing):
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
        normed, stream = add_and_normalise(self.norm1, stream, None)
        normed, stream = add_and_normalise(self.norm2, self.part("mixer", normed), stream)
        return stream + self.part("mlp", normed)


def add_and_normalise(
    norm: nn.Module, hidden: Tensor, residual: Tensor | None, *, mirrored: bool = False
) -> tuple[Tensor, Tensor]:
    """Add a block's output to the residual and normalise the sum, in one pass.

    Args:
        norm: RMSNorm or LayerNorm, or an RCPSWrapper around one.
        hidden: The block's output (batch, length, d_model).
        residual: The stream before, or None if hidden is its beginning.
        mirrored: Whether channels are in the opposite order.

    Returns:
        The normed sum, and the sum, in float32 at least.
    """
    inner = norm.submodule if isinstance(norm, RCPSWrapper) else norm
    assert isinstance(inner, RMSNorm | LayerNorm)
    return inner.add(hidden, residual, mirrored=mirrored)
