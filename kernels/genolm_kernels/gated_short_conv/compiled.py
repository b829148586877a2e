"""Short convolution and gate by the compiled library: the last two parts, and the rest."""

import torch
from torch import Tensor

from genolm_kernels.causal_conv1d import compiled as plain
from genolm_kernels.native import call as native


def takes(x: Tensor, weight: Tensor, parts: int) -> bool:
    """Whether the compiled library is there and computes this call."""
    few_taps = weight.shape[1] <= plain.MOST_TAPS
    return few_taps and x.numel() > 0 and native.takes(x.dtype, x.shape[2] // parts)


def forward(
    x: Tensor, weight: Tensor, bias: Tensor | None, parts: int, reverse: bool
) -> tuple[Tensor, Tensor]:
    """Convolve and gate; arguments and results as in `genolm_kernels.gated_short_conv`."""
    batch, length, channels = x.shape
    d = channels // parts
    others = channels - 2 * d
    taps, start = plain.taps_of(weight, reverse), plain.widened(bias)
    rest = torch.empty(batch, length, others, dtype=torch.float32)
    gated = torch.empty(batch, length, d, dtype=torch.float32)
    x = native.dense_rows(x)
    if others:
        head = None if start is None else start[:others]
        plain.convolve(x[..., :others], taps[:, :others], head, rest, False, reverse)
    pair, taps, tail = _pair(x, taps, start, others)
    inputs = (pair, *pair.stride()[:2], taps, taps.stride(0), tail)
    sizes = (batch, length, d, len(taps), reverse, native.items(pair.numel()))
    native.call("genolm_gated_short_conv", *inputs, gated, *sizes)
    return gated, rest


def backward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    parts: int,
    reverse: bool,
    dgated: Tensor,
    drest: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of `forward`.

    Returns:
        dx (batch, length, channels), dweight (channels, width) and dbias (channels,) in float32.
    """
    batch, length, channels = x.shape
    d = channels // parts
    others = channels - 2 * d
    taps, start = plain.taps_of(weight, reverse), plain.widened(bias)
    dx = torch.empty(x.shape, dtype=torch.float32)
    x, sums = native.dense_rows(x), []
    if others:
        inputs = (x[..., :others], taps[:, :others], None, drest, dx[..., :others])
        sums.append(plain.differentiate(*inputs, False, reverse))
    pair, taps, tail = _pair(x, taps, start, others)
    dy, into = native.dense_rows(dgated), dx[..., others:]
    items = native.items(pair.numel())
    shares = torch.empty(items, len(taps) + 1, 2 * d, dtype=torch.float32)
    operands = (pair, *pair.stride()[:2], taps, taps.stride(0), tail, dy, *dy.stride()[:2])
    sizes = (batch, length, d, len(taps), reverse, items)
    targets = (into, into.stride(1), shares)
    native.call("genolm_gated_short_conv_backward", *operands, *targets, *sizes)
    sums.append(native.add_up(shares))
    return dx, *plain.split_sums(torch.cat(sums, dim=1), reverse)


def _pair(
    x: Tensor, taps: Tensor, bias: Tensor | None, others: int
) -> tuple[Tensor, Tensor, Tensor | None]:
    """What belongs to the last two parts of the channels."""
    return x[..., others:], taps[:, others:], None if bias is None else bias[others:]
