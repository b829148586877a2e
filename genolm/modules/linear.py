"""The linear layer of every backbone, with an optional narrow type for the matrix product."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional


class Linear(nn.Linear):
    """y = x Wᵀ + b, with float32 masters whatever the type of the product.

    Args:
        in_features: Size of the last axis of the input.
        out_features: Size of the last axis of the output.
        bias: Whether to add a bias.
        writes_residual: Whether the output is added to the residual stream; families draw such
            weights smaller, by the depth of the model.
        full_precision: Whether the product stays in the weights' type in any case, under autocast
            and after `set_compute_dtype`.
    """

    compute_dtype: torch.dtype | None = None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        writes_residual: bool = False,
        full_precision: bool = False,
    ) -> None:
        super().__init__(in_features, out_features, bias=bias)
        self.writes_residual = writes_residual
        self.full_precision = full_precision

    def forward(self, input: Tensor) -> Tensor:
        """Multiply the last axis.

        Args:
            input: Any (..., in_features).

        Returns:
            (..., out_features) in the input's type, unless autocast decides otherwise.
        """
        if self.full_precision:
            return exact_linear(input, self.weight, self.bias)
        if self.compute_dtype is None:
            return functional.linear(input, self.weight, self.bias)
        product = self.multiply(input)
        return product if self.bias is None else product + self.bias.to(product.dtype)

    def multiply(self, input: Tensor) -> Tensor:
        """Multiply the last axis without adding the bias: (..., in_features) to (..., out)."""
        return self._product(input, self.weight)

    def mirrored(self, input: Tensor, *, ends: Literal["in", "out"]) -> Tensor:
        """Multiply with the channels of the input, or of the output, in the opposite order.

        Turning the small weight round stands for flipping the channels of a long sequence.

        Args:
            input: Any (..., in_features).
            ends: "in" for self(input.flip(-1)), "out" for self(input).flip(-1).

        Returns:
            (..., out_features), as `forward` would.
        """
        weight = self.weight.flip(1 if ends == "in" else 0)
        bias = self.bias.flip(0) if self.bias is not None and ends == "out" else self.bias
        if self.full_precision:
            return exact_linear(input, weight, bias)
        if self.compute_dtype is None:
            return functional.linear(input, weight, bias)
        product = self._product(input, weight)
        return product if bias is None else product + bias.to(product.dtype)

    def _product(self, input: Tensor, weight: Tensor) -> Tensor:
        narrow = self.compute_dtype
        if narrow is None:
            return functional.linear(input, weight)
        return functional.linear(input.to(narrow), weight.to(narrow)).to(input.dtype)


def exact_linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiply in the weight's type, whatever autocast would have: (..., in) to (..., out)."""
    with torch.autocast(input.device.type, enabled=False):
        return functional.linear(input.to(weight.dtype), weight, bias)


def set_compute_dtype(model: nn.Module, dtype: torch.dtype | None) -> None:
    """Let every linear layer of a model multiply in a type; None returns to the weights' own.

    Weights, states, Fourier transforms and the residual stream keep their type.
    """
    for module in model.modules():
        if isinstance(module, Linear) and not module.full_precision:
            module.compute_dtype = dtype
