"""Convolutions on slices: short ones borrow a few positions, long ones exchange channels."""

import torch
from torch import Tensor

import genolm_kernels
from genolm.parallel.exchange import neighbours, to_channels, to_positions
from genolm.parallel.group import SequenceGroup, sequence_group
from genolm_kernels import FilterSpectrum


def causal_conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    activation: str | None = None,
    reverse: bool = False,
) -> Tensor:
    """Convolve as `genolm_kernels.causal_conv1d`; slices borrow width - 1 positions for it."""

    def convolve(some: Tensor) -> Tensor:
        return genolm_kernels.causal_conv1d(
            some, weight, bias, activation=activation, reverse=reverse
        )

    group, seen = sequence_group(), weight.shape[1] - 1
    y = convolve(x)
    if group is None or not seen:
        return y
    return _mend(y, convolve(_border(x, seen, group, reverse)), seen, reverse)


def gated_short_conv(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, parts: int, reverse: bool = False
) -> tuple[Tensor, Tensor]:
    """Convolve and gate as `genolm_kernels.gated_short_conv`; slices as in `causal_conv1d`."""

    def convolve(some: Tensor) -> tuple[Tensor, Tensor]:
        return genolm_kernels.gated_short_conv(some, weight, bias, parts=parts, reverse=reverse)

    group, seen = sequence_group(), weight.shape[1] - 1
    gated, gates = convolve(x)
    if group is None or not seen:
        return gated, gates
    near = convolve(_border(x, seen, group, reverse))
    return _mend(gated, near[0], seen, reverse), _mend(gates, near[1], seen, reverse)


def fft_conv(
    u: Tensor,
    k: Tensor | FilterSpectrum,
    d: Tensor | None = None,
    *,
    gate_out: Tensor | None = None,
    reverse: bool = False,
) -> Tensor:
    """Convolve as `genolm_kernels.fft_conv`, which says what the arguments are.

    Slices of the inputs and of the filters are exchanged for whole sequences of some channels, and
    the outputs back: two all-to-alls of the size of u, and one of the size of k.

    Args:
        u: Inputs, or this process's slice of them (batch, length, channels).
        k: Filters, or this process's slice of them (length, channels).
        d: Skip (channels,).
        gate_out: Multiplies the outputs (batch, length, channels).
        reverse: Whether to look ahead.

    Returns:
        (batch, length, channels).
    """
    group = sequence_group()
    if group is None:
        return genolm_kernels.fft_conv(u, k, d, gate_out=gate_out, reverse=reverse)
    assert isinstance(k, Tensor)  # a spectrum would be of whole filters
    wholes = to_channels(u, group)
    taps = to_channels(k[None], group)[0]
    mine = slice(group.place * wholes.shape[2], (group.place + 1) * wholes.shape[2])
    skip = None if d is None else d[mine]
    y = to_positions(genolm_kernels.fft_conv(wholes, taps, skip, reverse=reverse), group)
    return y if gate_out is None else y * gate_out


def _border(x: Tensor, seen: int, group: SequenceGroup, reverse: bool) -> Tensor:
    """What filters see that look `seen` positions over the border of a slice: both sides of it."""
    halo = neighbours(x, seen, group, after=reverse)
    if reverse:
        return torch.cat((x[:, x.shape[1] - seen :], halo), dim=1)
    return torch.cat((halo, x[:, :seen]), dim=1)


def _mend(y: Tensor, near: Tensor, seen: int, reverse: bool) -> Tensor:
    """Put what was convolved over the border in the place of what was not.

    The other way, a copy of the slice with its border, would be kept for the backward pass.
    """
    if reverse:
        return torch.cat((y[:, : y.shape[1] - seen], near[:, :seen]), dim=1)
    return torch.cat((near[:, seen:], y[:, seen:]), dim=1)
