"""Short causal convolution by the compiled library; rows are read where they lie, by strides."""

import torch
from torch import Tensor

from genolm_kernels.native import call as native

MOST_TAPS = 8


def takes(x: Tensor, weight: Tensor) -> bool:
    """Whether the compiled library is there and computes this call."""
    return weight.shape[1] <= MOST_TAPS and x.numel() > 0 and native.takes(x.dtype, x.shape[2])


def forward(x: Tensor, weight: Tensor, bias: Tensor | None, silu: bool, reverse: bool) -> Tensor:
    """Convolve; arguments as in `genolm_kernels.causal_conv1d`.

    Returns:
        y (batch, length, channels) in x's type.
    """
    y = torch.empty(x.shape, dtype=torch.float32)
    convolve(x, taps_of(weight, reverse), widened(bias), y, silu, reverse)
    return y.to(x.dtype)


def backward(
    x: Tensor, weight: Tensor, bias: Tensor | None, silu: bool, reverse: bool, dy: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of `forward`.

    Returns:
        dx and dweight in x's and weight's shapes and types, dbias (channels,) in bias' type.
    """
    dx = torch.empty(x.shape, dtype=torch.float32)
    taps = taps_of(weight, reverse)
    sums = differentiate(x, taps, widened(bias), dy, dx, silu, reverse)
    dweight, dbias = split_sums(sums, reverse)
    dbias = dbias if bias is None else dbias.to(bias.dtype)
    return dx.to(x.dtype), dweight.to(weight.dtype), dbias


def convolve(
    x: Tensor, taps: Tensor, bias: Tensor | None, y: Tensor, silu: bool, reverse: bool
) -> None:
    """Write the convolution to y.

    Args:
        x: Inputs (batch, length, channels).
        taps: As `taps_of` gives them, or some of their columns (width, channels).
        bias: In float32 (channels,), or None.
        y: Dense, in float32 (batch, length, channels).
        silu: Whether silu is applied.
        reverse: Whether the filter looks ahead.
    """
    x = native.dense_rows(x)
    sizes = (*x.shape, len(taps), silu, reverse, native.items(x.numel()))
    native.call("genolm_causal_conv1d", x, *x.stride()[:2], taps, taps.stride(0), bias, y, *sizes)


def differentiate(
    x: Tensor,
    taps: Tensor,
    bias: Tensor | None,
    dy: Tensor,
    dx: Tensor,
    silu: bool,
    reverse: bool,
) -> Tensor:
    """Write the gradient of x to dx, whose rows may lie apart; other arguments as in `convolve`.

    Returns:
        Gradients of the taps and, in one more row, of the bias (width + 1, channels).
    """
    x, dy = native.dense_rows(x), native.dense_rows(dy)
    items = native.items(x.numel())
    sums = torch.empty(items, len(taps) + 1, x.shape[2], dtype=torch.float32)
    inputs = (x, *x.stride()[:2], taps, taps.stride(0), bias, dy, *dy.stride()[:2])
    sizes = (*x.shape, len(taps), silu, reverse, items)
    native.call("genolm_causal_conv1d_backward", *inputs, dx, dx.stride(1), sums, *sizes)
    return native.add_up(sums)


def taps_of(weight: Tensor, reverse: bool) -> Tensor:
    """Filters (channels, width) as float32 (width, channels), in the order of the positions."""
    wide = weight.float()
    return (wide.flip(1) if reverse else wide).t().contiguous()


def widened(bias: Tensor | None) -> Tensor | None:
    """The bias in float32, if there is one."""
    return None if bias is None else bias.float().contiguous()


def split_sums(sums: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
    """Gradients (width + 1, channels) as those of weight (channels, width) and bias."""
    dtaps, dbias = sums[:-1], sums[-1].clone()
    return (dtaps.flip(0) if reverse else dtaps).t().contiguous(), dbias
