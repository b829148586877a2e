"""Exchanges that gradients find their way back through."""

from typing import Any

import torch
from torch import Tensor

from genolm.parallel.group import SequenceGroup, sequence_group


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, group: SequenceGroup) -> Tensor:
        ctx.group = group
        return group.gather(tensor)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.group.transpose(gradient.contiguous()).sum(0), None


class _Shift(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, group: SequenceGroup, step: int) -> Tensor:
        ctx.group, ctx.step = group, step
        return group.shift(tensor, step)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return ctx.group.shift(gradient, -ctx.step), None, None


class _Mirror(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, group: SequenceGroup, others: tuple[int, ...]) -> Tensor:
        ctx.group, ctx.others = group, others
        return group.mirror(tensor.flip(1, *others))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return ctx.group.mirror(gradient.flip(1, *ctx.others)), None, None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, group: SequenceGroup) -> Tensor:
        ctx.group = group
        return group.sum(tensor)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        # Everybody has the sum, and a gradient for it.
        return ctx.group.sum(gradient), None


class _ToChannels(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, group: SequenceGroup) -> Tensor:
        ctx.group = group
        return _send_channels(tensor, group)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _send_positions(gradient, ctx.group), None


class _ToPositions(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, group: SequenceGroup) -> Tensor:
        ctx.group = group
        return _send_positions(tensor, group)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _send_channels(gradient, ctx.group), None


def _send_channels(slices: Tensor, group: SequenceGroup) -> Tensor:
    batch, length, channels = slices.shape
    parts = slices.view(batch, length, group.size, channels // group.size).permute(2, 0, 1, 3)
    found = group.transpose(parts.contiguous())  # by place: (batch, length, some channels)
    return found.transpose(0, 1).reshape(batch, group.size * length, -1)


def _send_positions(wholes: Tensor, group: SequenceGroup) -> Tensor:
    batch, length, channels = wholes.shape
    parts = wholes.reshape(batch, group.size, length // group.size, channels).transpose(0, 1)
    found = group.transpose(parts.contiguous())
    return found.permute(1, 2, 0, 3).reshape(batch, length // group.size, -1)


def apply(function: type[torch.autograd.Function], *arguments: Any) -> Tensor:
    """Apply an operator with a gradient of its own."""
    found: Tensor = function.apply(*arguments)  # type: ignore[no-untyped-call]  # torch's own
    return found


def gather(tensor: Tensor, group: SequenceGroup) -> Tensor:
    """What everybody has, along a new first axis, by place."""
    return apply(_Gather, tensor, group)


def to_channels(slices: Tensor, group: SequenceGroup) -> Tensor:
    """Exchange slices of the length for slices of the channels, by one all-to-all.

    Args:
        slices: This process's positions of all channels (batch, length / size, channels).
        group: The processes.

    Returns:
        All positions of this process's channels (batch, length, channels / size).

    Raises:
        ValueError: If the channels cannot be shared out evenly.
    """
    if slices.shape[2] % group.size:
        raise ValueError(
            f"a long convolution of {slices.shape[2]} channels cannot be shared out over "
            f"{group.size} processes; choose a number of them that divides d_model"
        )
    return apply(_ToChannels, slices.contiguous(), group)


def to_positions(wholes: Tensor, group: SequenceGroup) -> Tensor:
    """Undo `to_channels`: (batch, length, channels / size) to (batch, length / size, channels)."""
    return apply(_ToPositions, wholes, group)


def neighbours(x: Tensor, count: int, group: SequenceGroup, *, after: bool) -> Tensor:
    """The positions next to this process's slice; zeros beyond the ends of the sequence.

    Args:
        x: This process's slice (batch, length, ...).
        count: How many.
        group: The processes.
        after: Whether those that follow the slice, else those before it.

    Returns:
        (batch, count, ...).

    Raises:
        ValueError: If a slice is shorter than that.
    """
    if x.shape[1] < count:
        raise ValueError(
            f"slices of {x.shape[1]} positions are too short for an operator that looks "
            f"{count} positions away; use fewer processes for a sequence"
        )
    edge = x[:, :count] if after else x[:, x.shape[1] - count :]
    return apply(_Shift, edge, group, -1 if after else 1)


def borrow(x: Tensor, count: int, *, after: bool) -> Tensor | None:
    """The positions next to a slice, as `neighbours`; None where sequences are whole."""
    group = sequence_group()
    return None if group is None else neighbours(x, count, group, after=after)


def flip_length(x: Tensor, *others: int) -> Tensor:
    """Flip a sequence along the length; of slices, by an exchange with the mirrored place.

    Args:
        x: The sequence, or this process's slice of it (batch, length, ...).
        *others: Further axes to flip.

    Returns:
        The same shape.
    """
    group = sequence_group()
    if group is None:
        return x.flip(1, *others)
    return apply(_Mirror, x, group, others)


def next_ones(values: Tensor, last: int | float) -> Tensor | None:
    """Each position's successor (batch, length), without gradients, where sequences are shared.

    Args:
        values: One number for each position (batch, length).
        last: What follows the last position of the whole sequence.

    Returns:
        (batch, length); None where sequences are whole.
    """
    group = sequence_group()
    if group is None:
        return None
    following = group.shift(values[:, :1].detach(), -1)
    if group.place == group.size - 1:
        following.fill_(last)
    return torch.cat([values[:, 1:], following], dim=1)


def add_up(value: Tensor) -> Tensor:
    """The sum over all slices of a sequence of what each process has of it."""
    group = sequence_group()
    if group is None:
        return value
    return apply(_Sum, value, group)
