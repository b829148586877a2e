"""Our linear layer with a low-rank change (Hu et al. 2021, equation 3); needs peft.

peft adapts layers by what they do in `forward`. Ours also multiply with the channels of the input
or of the output in the opposite order, which is how the other strand of an equivariant model is
read with the same weights: the change has to be turned round with them.
"""

from typing import Any, Literal

from peft.tuners.lora import Linear as PeftLinear
from torch import Tensor
from torch.nn import functional

Ends = Literal["in", "out"]


class AdaptedLinear(PeftLinear):  # type: ignore[misc]  # peft's classes have no types here
    """y + s B A x beside what a `genolm.modules.linear.Linear` gives, in each of its ways."""

    def forward(self, x: Tensor, *args: Any, **named: Any) -> Tensor:
        """Multiply the last axis: any (..., in_features) to (..., out_features)."""
        out: Tensor = self.base_layer(x)
        return self._add(out, x)

    def multiply(self, input: Tensor) -> Tensor:
        """Multiply the last axis without adding the bias."""
        return self._add(self.base_layer.multiply(input), input)

    def mirrored(self, input: Tensor, *, ends: Ends) -> Tensor:
        """Multiply with the channels of the input, or of the output, in the opposite order."""
        return self._add(self.base_layer.mirrored(input, ends=ends), input, ends)

    def _add(self, out: Tensor, x: Tensor, ends: Ends | None = None) -> Tensor:
        if self.merged:
            return out
        for name in self.active_adapters:
            first, second = self.lora_A[name].weight, self.lora_B[name].weight
            if ends == "in":
                first = first.flip(1)
            elif ends == "out":
                second = second.flip(0)
            few = functional.linear(self.lora_dropout[name](x), first)
            out = out + functional.linear(few, second).to(out.dtype) * self.scaling[name]
        return out
