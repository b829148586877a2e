"""Spectra of long filters, kept between calls for as long as the filters are the same."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from genolm.mixers.hyena_filter import HyenaFilter
from genolm.parallel import sequence_group
from genolm_kernels import FilterSpectrum, prepare_filter
from genolm_kernels.fft_conv import serves

MOST_BYTES = 1 << 27  # of all that one mixer keeps


class _Entry(NamedTuple):
    tensors: list[Tensor]
    rest: tuple[object, ...]
    spectra: tuple[FilterSpectrum, ...]

    def follows(self, tensors: list[Tensor], rest: tuple[object, ...]) -> bool:
        """Whether the filters of that state are these ones, and can be used as things stand."""
        return (
            self.rest == rest
            and all(map(_same, self.tensors, tensors))
            and all(map(serves, self.spectra))
        )

    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in (*self.tensors, *(s.values for s in self.spectra)))


class SpectrumCache:
    """What one mixer keeps: by length, the spectra and a copy of what they were made from.

    The copy is compared, value by value, at each use: version counters miss what is written
    through `.data`, and the state is small beside the spectra. On CUDA, where comparing would
    stop the stream, nothing is kept. Copying and pickling leave the contents behind.
    """

    def __init__(self) -> None:
        self._entries: dict[int, _Entry] = {}

    def __reduce__(self) -> tuple[type["SpectrumCache"], tuple[()]]:
        """A copy starts empty."""
        return SpectrumCache, ()

    def clear(self) -> None:
        """Drop everything."""
        self._entries.clear()

    def get(
        self, filters: HyenaFilter, length: int, training: bool
    ) -> tuple[FilterSpectrum, ...] | None:
        """The spectra of the filters' first taps, if this is a call to keep them for.

        Args:
            filters: The filters as they are now.
            length: How many taps, and the length of the inputs.
            training: Whether the mixer is being trained.

        Returns:
            The spectrum of each long convolution's filters; None where gradients, tracing, the
            size or sharing the sequence forbid to keep them, or something watches the filters
            being made.
        """
        if training or torch.compiler.is_compiling() or sequence_group() or _watched(filters):
            return None
        tensors, rest = filters.state(length)
        if not all(map(_plain, tensors)):
            return None
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            return None
        entry = self._entries.get(length)
        if entry is None or not entry.follows(tensors, rest):
            entry = self._make(filters, length, tensors, rest)
        return None if entry is None else entry.spectra

    def _make(
        self, filters: HyenaFilter, length: int, tensors: list[Tensor], rest: tuple[object, ...]
    ) -> _Entry | None:
        # What is stale at one length is stale at all of them.
        if length in self._entries:
            self.clear()
        channels = filters.bias.numel()
        if 8 * length * channels > MOST_BYTES:
            return None
        d_model, copies = filters.d_model, [tensor.detach().clone() for tensor in tensors]
        with torch.no_grad():
            taps = torch.split(filters(length), d_model, dim=-1)
        entry = _Entry(copies, rest, tuple(map(prepare_filter, taps)))
        if entry.nbytes() > MOST_BYTES:
            return None
        while self._entries and entry.nbytes() + self.nbytes() > MOST_BYTES:
            del self._entries[next(iter(self._entries))]
        self._entries[length] = entry
        return entry

    def nbytes(self) -> int:
        """Bytes of all that is kept."""
        return sum(entry.nbytes() for entry in self._entries.values())


def _same(kept: Tensor, now: Tensor) -> bool:
    return kept.dtype == now.dtype and kept.device == now.device and torch.equal(kept, now)


def _plain(tensor: Tensor) -> bool:
    return type(tensor) in {Tensor, nn.Parameter} and tensor.device.type == "cpu"


def _watched(filters: HyenaFilter) -> bool:
    return any(module._forward_hooks or module._forward_pre_hooks for module in filters.modules())
