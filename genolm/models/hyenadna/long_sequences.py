"""Blocks on sequences so long that what they compute in between must not exist all at once."""

import torch
from torch import Tensor, nn

from genolm.mixers.hyena import Hyena
from genolm.modules.block import MixerMLPBlock, add_and_normalise
from genolm.modules.by_rows import by_rows, row_slices


def goes_in_place(blocks: nn.ModuleList, stream: Tensor) -> bool:
    """Whether the blocks are to work piece by piece on the residual stream itself.

    Args:
        blocks: The model's blocks.
        stream: The residual stream (batch, length, d_model).

    Returns:
        Whether that is worth while (see `Hyena.goes_by_channels`) and nobody can tell: there are
        no gradients and no hooks.
    """
    mixers = [block.mixer for block in blocks if isinstance(block, MixerMLPBlock)]
    wide = [m for m in mixers if isinstance(m, Hyena) and m.goes_by_channels(stream)]
    if len(wide) < len(blocks):
        return False
    return not any(m._forward_hooks or m._forward_pre_hooks for m in blocks.modules())


def run_in_place(block: nn.Module, stream: Tensor) -> None:
    """Run one block and leave its result in the stream (batch, length, d_model).

    Beside the stream, the normed stream and the mixed one are all that is as large as it is.
    """
    assert isinstance(block, MixerMLPBlock)
    assert isinstance(block.mixer, Hyena)
    mixer = block.mixer
    mixed = mixer.mix_by_channels(by_rows(block.norm1, stream))
    rows, mixed = (tensor.view(1, -1, tensor.shape[-1]) for tensor in (stream, mixed))
    for some in row_slices(rows.shape[1]):
        out = mixer.out_proj(mixed[:, some])
        normed, added = add_and_normalise(block.norm2, out, rows[:, some])
        torch.add(added, block.mlp(normed), out=rows[:, some])
