"""Filters turned to their spectra once, for many convolutions with them."""

from typing import NamedTuple

import torch
from torch import Tensor

RFFT = "rfft"


class FilterSpectrum(NamedTuple):
    """Filters that `fft_conv` takes in place of k; made by `prepare_filter`, valid in one process.

    Attributes:
        values: The spectra, in an order that `layout` names.
        channels: How many filters there are.
        length: The longest inputs that they serve.
        size: Points of the transform.
        layout: "rfft" for (channels, size // 2 + 1), else an order of the compiled code.
    """

    values: Tensor
    channels: int
    length: int
    size: int
    layout: str

    @property
    def dtype(self) -> torch.dtype:
        """The type of the filters: float32 or float64."""
        return self.values.real.dtype if self.values.is_complex() else self.values.dtype


def transform_size(least: int) -> int:
    """The smallest even number with no prime factor above 5 that is not below `least`."""
    size = least + least % 2
    while not is_smooth(size):
        size += 2
    return size


def is_smooth(size: int) -> bool:
    """Whether a number has no prime factor above 5."""
    for prime in (2, 3, 5):
        while size % prime == 0:
            size //= prime
    return size == 1


def rfft_spectrum(k: Tensor, length: int) -> FilterSpectrum:
    """Transform filters (length_k, channels) with torch, for inputs of up to `length` steps."""
    wide = k[:length].to(torch.promote_types(k.dtype, torch.float32))
    size = transform_size(length + len(wide) - 1)
    values = torch.fft.rfft(wide.t().contiguous(), n=size)
    return FilterSpectrum(values, k.shape[1], length, size, RFFT)


def compute_dtype(u: Tensor, k: Tensor | FilterSpectrum) -> torch.dtype:
    """The type to compute in: float32, or float64 where u or k is."""
    return torch.promote_types(torch.promote_types(u.dtype, k.dtype), torch.float32)
