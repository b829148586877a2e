"""First-order recurrences over the slots of a buffer, in place, forwards and backwards.

    advance: values[i + 1] += decays[i] * values[i]          i = 0 .. steps - 1
    retreat: values[i] += decays[i + 1] * values[i + 1]      i = steps - 1 .. 0

One call per step is cheap while a step is large. Small steps are taken in two levels: all chunks
of a buffer are stepped through side by side as if each began from zero, then the true entry
states are carried from chunk to chunk, then each position receives its share of the entry state,
which is the product of the decays between. It takes 2 sqrt(steps) calls and twice the arithmetic.
"""

import math
from functools import cached_property

import torch
from torch import Tensor

SMALL_STEP = 3000  # elements; below, the call costs more than the arithmetic of a step


class Slots:
    """A buffer with one slot per step; views of slots cost as much as a step and are made once.

    Attributes:
        tensor: (slots, *shape).
        flat: The same memory as (slots, elements).
    """

    def __init__(self, count: int, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        self.tensor = torch.empty(count, *shape, dtype=dtype)
        self.flat = self.tensor.flatten(1)

    @cached_property
    def each(self) -> tuple[Tensor, ...]:
        """The slots of `flat`, one by one."""
        return self.flat.unbind(0)


def chunk_length(steps: int, elements: int) -> int:
    """Steps of a chunk, or 1 where one level is better.

    Args:
        steps: Number of steps in the buffer.
        elements: Size of one slot.
    """
    return 1 if elements >= SMALL_STEP else math.isqrt(steps)


def advance(values: Slots, decays: Slots, products: Slots, steps: int) -> None:
    """Run the recurrence forwards; slot 0 of `values` is where it starts from.

    Args:
        values: Slots 0 .. steps, slots 1 and up holding what each step adds.
        decays: Slots 0 .. steps - 1.
        products: Scratch of as many slots.
        steps: How many.
    """
    chunk = chunk_length(steps, values.flat.shape[1])
    if chunk == 1:
        for i in range(steps):
            values.each[i + 1].addcmul_(decays.each[i], values.each[i])
        return
    whole = steps - steps % chunk
    into = _chunks(values.flat[1 : whole + 1], chunk)
    decay = _chunks(decays.flat[:whole], chunk)
    product = _chunks(products.flat[:whole], chunk)
    product[:, 0].copy_(decay[:, 0])
    for s in range(1, chunk):
        into[:, s].addcmul_(decay[:, s], into[:, s - 1])
        torch.mul(decay[:, s], product[:, s - 1], out=product[:, s])
    ends = values.flat[: whole + 1 : chunk].unbind(0)
    for k, across in enumerate(product[:, -1].unbind(0)):
        ends[k + 1].addcmul_(across, ends[k])
    entries = _chunks(values.flat[:whole], chunk)[:, :1]
    into[:, :-1].addcmul_(product[:, :-1], entries)
    for i in range(whole, steps):
        values.flat[i + 1].addcmul_(decays.flat[i], values.flat[i])


def retreat(values: Slots, decays: Slots, products: Slots, steps: int) -> None:
    """Run the recurrence backwards; slot `steps` of `values` is where it starts from.

    Args:
        values: Slots 0 .. steps, slots 0 .. steps - 1 holding what each step adds.
        decays: Slots 1 .. steps.
        products: Scratch of as many slots, from 0.
        steps: How many.
    """
    chunk = chunk_length(steps, values.flat.shape[1])
    if chunk == 1:
        for i in reversed(range(steps)):
            values.each[i].addcmul_(decays.each[i + 1], values.each[i + 1])
        return
    whole = steps - steps % chunk
    for i in reversed(range(whole, steps)):
        values.flat[i].addcmul_(decays.flat[i + 1], values.flat[i + 1])
    into = _chunks(values.flat[:whole], chunk)
    decay = _chunks(decays.flat[1 : whole + 1], chunk)
    product = _chunks(products.flat[:whole], chunk)
    product[:, -1].copy_(decay[:, -1])
    for s in reversed(range(chunk - 1)):
        into[:, s].addcmul_(decay[:, s], into[:, s + 1])
        torch.mul(decay[:, s], product[:, s + 1], out=product[:, s])
    starts = values.flat[: whole + 1 : chunk].unbind(0)
    for k, across in reversed(list(enumerate(product[:, 0].unbind(0)))):
        starts[k].addcmul_(across, starts[k + 1])
    entries = _chunks(values.flat[1 : whole + 1], chunk)[:, -1:]
    into[:, 1:].addcmul_(product[:, 1:], entries)


def _chunks(slots: Tensor, chunk: int) -> Tensor:
    return slots.view(-1, chunk, slots.shape[1])
