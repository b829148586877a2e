"""Parts of blocks that are computed a second time in the backward pass, to save memory.

Of such a part only the input is kept. HyenaDNA's original has the same two switches, for the mixer
and for the MLP.
"""

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Recomputing(nn.Module):
    """A block whose parts can be recomputed.

    Attributes:
        recomputed: Names of the parts that are, in training.
    """

    recomputed: frozenset[str] = frozenset()

    def part(self, name: str, x: Tensor, **options: bool) -> Tensor:
        """Apply a part to x (batch, length, d_model), keeping no more than x if so asked."""
        module: nn.Module = getattr(self, name)
        if name in self.recomputed and self.training and torch.is_grad_enabled():
            out: Tensor = checkpoint(partial(module, **options), x, use_reentrant=False)
        else:
            out = module(x, **options)
        return out


def recompute_parts(model: nn.Module, names: Iterable[str]) -> None:
    """Let the blocks of a model recompute these of their parts, and no others, in training.

    Args:
        model: Any model.
        names: Out of "mixer" and "mlp".

    Raises:
        ValueError: If the blocks have no such part.
    """
    wanted = frozenset(names)
    blocks = [module for module in model.modules() if isinstance(module, Recomputing)]
    for block in blocks:
        parts = {name for name, _ in block.named_children()} & {"mixer", "mlp"}
        if not wanted <= parts:
            raise ValueError(
                f"the blocks of this model have no {', '.join(sorted(wanted - parts))} to "
                f"recompute; they have {', '.join(sorted(parts))}"
            )
    for block in blocks:
        block.recomputed = wanted
