"""Tensors at addresses that vector instructions like, whatever file they come from."""

import torch
from torch import nn

LINE = 64  # bytes, what torch's own allocator aligns to


@torch.no_grad()
def align(module: nn.Module) -> None:
    """Copy those tensors of a module that begin in the middle of a cache line.

    Weights of a file that is mapped into memory lie where they lie in the file. The last bits of
    a matrix product depend on that, so a model and its saved copy would not give the same.
    """
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.device.type == "cpu" and tensor.data_ptr() % LINE:
            tensor.data = tensor.data.clone()
