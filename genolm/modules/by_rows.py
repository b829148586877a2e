"""Position-wise work on a long sequence, so many positions at a time."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

MOST_ROWS = 1 << 13  # positions taken together: what they become stays in the cache


def row_slices(rows: int) -> Iterator[slice]:
    """The pieces that so many positions fall into."""
    for first in range(0, rows, MOST_ROWS):
        yield slice(first, min(first + MOST_ROWS, rows))


def by_rows(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a position-wise function to pieces of x, without gradients.

    Args:
        function: Takes (1, positions, channels) and returns (1, positions, anything).
        x: Inputs (batch, length, channels).

    Returns:
        What the function makes of all of x (batch, length, anything).
    """
    rows = x.reshape(1, -1, x.shape[-1])
    found: list[Tensor] = []
    for some in row_slices(rows.shape[1]):
        piece = function(rows[:, some])
        if not found:
            found.append(piece.new_empty(1, rows.shape[1], piece.shape[-1]))
        found[0][:, some] = piece
    return found[0].view(*x.shape[:-1], -1)


def by_sequences(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a function to the sequences of a batch one after another, without gradients.

    Args:
        function: Takes (1, length, channels) and returns the same shape.
        x: Inputs (batch, length, channels), at least one of them.

    Returns:
        What the function makes of each (batch, length, channels).
    """
    first = function(x[:1])
    found = first.new_empty(x.shape)
    found[:1] = first
    del first
    for i in range(1, len(x)):
        found[i : i + 1] = function(x[i : i + 1])
    return found


def is_plain(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether a module is of exactly this class and nothing watches or changes its calls."""
    hooks = (module._forward_hooks, module._forward_pre_hooks)
    return type(module) is kind and not any(hooks)


def is_large(elements: int, least: int) -> bool:
    """Whether a result without gradients is so large that it is better made in pieces."""
    return elements > least and not (torch.is_grad_enabled() or torch.compiler.is_compiling())
