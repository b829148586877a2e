"""The position-wise network of a HyenaDNA block."""

from torch import Tensor, nn
from torch.nn import functional

from genolm.modules.by_rows import by_rows, is_large
from genolm.modules.linear import Linear

MOST_HIDDEN = 1 << 25  # numbers between the two layers, for all positions at once


class MLP(nn.Module):
    """Linear, tanh-approximated GELU, linear; without gradients, so many positions at a time.

    Args:
        d_model: Size of input and output.
        d_inner: Size between the two layers.
    """

    def __init__(self, d_model: int, d_inner: int) -> None:
        super().__init__()
        self.fc1 = Linear(d_model, d_inner)
        self.fc2 = Linear(d_inner, d_model, writes_residual=True)

    def forward(self, x: Tensor) -> Tensor:
        """Transform x (batch, length, d_model) at each position by itself."""
        hidden = x.numel() // self.fc1.in_features * self.fc1.out_features
        if is_large(hidden, MOST_HIDDEN):
            return by_rows(self._transform, x)
        return self._transform(x)

    def _transform(self, x: Tensor) -> Tensor:
        hidden: Tensor = self.fc2(functional.gelu(self.fc1(x), approximate="tanh"))
        return hidden
