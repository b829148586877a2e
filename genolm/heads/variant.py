"""Hidden states of the two alleles' windows to one prediction per variant.

With h the states of a window of length L, s the position of the variant in it and C channels,

    d = [h_alt(s) - h_ref(s), (Σ h_alt - Σ h_ref) / √L]     the change (2 C)
    c = (h_alt(s) + h_ref(s)) / 2                           the context, the same for both alleles

Changes die out away from a variant, so their sum hardly grows with the window: √L keeps it at the
size of a single state without losing it in a mean. Exchanging REF and ALT makes d negative and
leaves c. The antisymmetric head is odd in d, so that it then changes its sign, as a log fold change
does; the other one also sees |d|, as pathogenicity needs, which has no direction.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from genolm.modules.linear import Linear
from genolm.modules.precision import at_least_float32


class Change(NamedTuple):
    """What an allele does to the hidden states.

    Attributes:
        difference: ALT minus REF, d above (rows, 2 channels).
        context: What both share, c above (rows, channels).
    """

    difference: Tensor
    context: Tensor


def state_change(hidden: Tensor, sites: Tensor) -> Change:
    """Compare the windows of two alleles.

    Args:
        hidden: States of REF and ALT windows (2, rows, length, channels).
        sites: Position of the variant in each (2, rows).

    Returns:
        The change, float32 at least.
    """
    rows = torch.arange(hidden.shape[1], device=hidden.device)
    ref, alt = (at_least_float32(hidden[i][rows, sites[i]]) for i in (0, 1))
    total = at_least_float32(hidden).sum(dim=2) / math.sqrt(hidden.shape[2])
    return Change(torch.cat([alt - ref, total[1] - total[0]], dim=-1), (alt + ref) / 2)


class VariantHead(nn.Module):
    """A linear layer, or one hidden layer, on the change.

    Args:
        d_model: Channels of a state.
        num_labels: Outputs.
        hidden: Width of the hidden layer; None for none.
        antisymmetric: Whether exchanging the alleles only changes the sign of the outputs.
    """

    def __init__(
        self, d_model: int, num_labels: int, *, hidden: int | None, antisymmetric: bool
    ) -> None:
        super().__init__()
        self.antisymmetric = antisymmetric
        channels = 5 * d_model
        if antisymmetric:
            channels = 2 * d_model if hidden is None else 3 * d_model
        self.hidden: Linear | None = None
        if hidden is not None:
            self.hidden = Linear(channels, hidden, full_precision=True)
            channels = hidden
        self.out = Linear(channels, num_labels, bias=not antisymmetric, full_precision=True)

    def forward(self, change: Change) -> Tensor:
        """Predict from changes: (rows, num_labels)."""
        difference, context = change
        if self.antisymmetric and self.hidden is None:
            return self._read(difference)
        if self.antisymmetric:
            one, other = (
                self._hide(torch.cat([d, context], dim=-1)) for d in (difference, -difference)
            )
            return self._read((one - other) / 2)
        features = torch.cat([difference, difference.abs(), context], dim=-1)
        return self._read(features if self.hidden is None else self._hide(features))

    def _hide(self, features: Tensor) -> Tensor:
        assert self.hidden is not None
        layer: Tensor = self.hidden(features)
        return functional.gelu(layer)

    def _read(self, features: Tensor) -> Tensor:
        outputs: Tensor = self.out(features)
        return outputs

    def first_values(self, deviation: float) -> Iterator[tuple[Linear, float]]:
        """Yield the layers, each with the deviation of its fresh weights.

        Args:
            deviation: Of the layer that gives the outputs.
        """
        if self.hidden is not None:
            yield self.hidden, 1 / math.sqrt(self.hidden.in_features)
        yield self.out, deviation
