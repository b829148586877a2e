"""What a module's own tensors start as.

A checkpoint may lack tensors that a formula gives, and models are built without memory before
their weights are read; whoever fills the gaps asks the module itself, through `initial_values`.
"""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@runtime_checkable
class HasInitialValues(Protocol):
    """A module that says what its own parameters and buffers start as."""

    def initial_values(self) -> Mapping[str, Tensor]:
        """Name of a parameter or buffer to its first value; drawn anew at each call."""
        ...


def set_initial_values(module: nn.Module) -> None:
    """Write the first values into a freshly made module, which must offer them.

    A module made without memory (on the meta device) is left for whoever gives it memory.
    """
    assert isinstance(module, HasInitialValues)
    if any(tensor.is_meta for tensor in (*module.parameters(False), *module.buffers(False))):
        return
    with torch.no_grad():
        for name, value in module.initial_values().items():
            getattr(module, name).copy_(value)
