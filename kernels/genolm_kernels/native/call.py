"""Calling the compiled library with tensors."""

import ctypes

import torch
from torch import Tensor

from genolm_kernels.native import library

LANES = 16  # of the widest vectors: fewer channels are left to torch on every machine
ITEM_ELEMENTS = 1 << 15  # of one thread's piece of work, which pays for what it adds up
MOST_ITEMS = 1024


def takes(dtype: torch.dtype, channels: int) -> bool:
    """Whether the compiled library is there, and computes in this type for so many channels."""
    widened = torch.promote_types(dtype, torch.float32)
    return widened == torch.float32 and channels >= LANES and library() is not None


def call(function: str, *arguments: Tensor | int | float | None) -> None:
    """Call a function of the library, which must be there, on as many threads as torch has.

    Args:
        function: Its name.
        *arguments: Tensors become pointers, None a null pointer, whole numbers and booleans
            int64_t, other numbers float; the number of threads comes last by itself.
    """
    loaded = library()
    assert loaded is not None
    getattr(loaded, function)(*map(_convert, arguments), ctypes.c_int64(torch.get_num_threads()))


def _convert(argument: Tensor | int | float | None) -> ctypes.c_void_p | ctypes.c_int64 | object:
    if isinstance(argument, Tensor):
        return ctypes.c_void_p(argument.data_ptr())
    if isinstance(argument, int):
        return ctypes.c_int64(argument)
    return ctypes.c_void_p(None) if argument is None else ctypes.c_float(argument)


def dense_rows(tensor: Tensor) -> Tensor:
    """The tensor in float32, copied only if it has another type or a last axis with gaps."""
    wide = tensor.float()
    return wide if wide.stride(-1) == 1 else wide.contiguous()


def items(elements: int) -> int:
    """Into how many pieces work on so many numbers falls: a matter of size alone."""
    return max(1, min(MOST_ITEMS, elements // ITEM_ELEMENTS))


def add_up(parts: Tensor) -> Tensor:
    """The sum over the first axis of (pieces, ...), in the order of the pieces."""
    total = torch.empty(parts.shape[1:], dtype=torch.float32)
    call("genolm_add_up", parts, parts.shape[0], total.numel(), total)
    return total
