"""The position-wise network of a HyenaDNA block."""

from torch import Tensor, nn
from torch.nn import functional

from genolm.modules.linear import Linear


class MLP(nn.Module):
    """Linear, tanh-approximated GELU, linear.

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
        hidden: Tensor = self.fc2(functional.gelu(self.fc1(x), approximate="tanh"))
        return hidden
