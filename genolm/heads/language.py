"""Hidden states to a score for every token."""

from collections.abc import Sequence

from torch import Tensor, nn

from genolm.modules.linear import Linear
from genolm.modules.precision import at_least_float32
from genolm.modules.reverse_complement import RCPSHead


class LanguageHead(Linear):
    """A linear layer without bias whose product and logits are float32 at least.

    Args:
        d_model: Number of channels.
        vocab_size: Number of tokens.
    """

    def __init__(self, d_model: int, vocab_size: int) -> None:
        super().__init__(d_model, vocab_size, bias=False, full_precision=True)

    def forward(self, input: Tensor) -> Tensor:
        """Map hidden states (batch, length, d_model) to logits (batch, length, vocab_size)."""
        return at_least_float32(super().forward(input))


def make_language_head(
    d_model: int, vocab_size: int, complement: Sequence[int] | None = None
) -> nn.Module:
    """Build the head of a language model; with a complement map, the equivariant one."""
    if complement is None:
        return LanguageHead(d_model, vocab_size)
    return RCPSHead(vocab_size, d_model, complement)
