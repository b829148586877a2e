"""The short depthwise convolution in front of a mixer."""

import math

import torch
from torch import Tensor, nn

from genolm.modules.initial import set_initial_values
from genolm.parallel import causal_conv1d


class ShortConv(nn.Module):
    """A causal filter of a few taps for each channel.

    Args:
        channels: Number of channels.
        width: Number of taps.
        bias: Whether to add a bias.
        activation: None or "silu".
    """

    bias: nn.Parameter | None

    def __init__(
        self, channels: int, width: int, *, bias: bool = True, activation: str | None = None
    ) -> None:
        super().__init__()
        self.activation = activation
        self.weight = nn.Parameter(torch.empty(channels, 1, width))
        self.bias = nn.Parameter(torch.empty(channels)) if bias else None
        set_initial_values(self)

    def forward(self, x: Tensor, *, reverse: bool = False) -> Tensor:
        """Convolve x (batch, length, channels); `reverse` looks ahead instead of back."""
        taps = self.weight.squeeze(1)
        return causal_conv1d(x, taps, self.bias, activation=self.activation, reverse=reverse)

    def initial_values(self) -> dict[str, Tensor]:
        """Uniform within one over the square root of the number of taps, as torch's Conv1d."""
        bound = 1 / math.sqrt(self.weight.shape[2])
        values = {"weight": torch.empty(self.weight.shape).uniform_(-bound, bound)}
        if self.bias is not None:
            values["bias"] = torch.empty(self.bias.shape).uniform_(-bound, bound)
        return values
