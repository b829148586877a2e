"""Causal convolution with a filter as long as the sequence, between two gates."""

from typing import Any

import torch
from torch import Tensor

from genolm_kernels._backend import Backend, choose, never, not_on_cpu, requested
from genolm_kernels._triton import automatic, refuses, unavailable
from genolm_kernels.fft_conv.cpu import cpu
from genolm_kernels.fft_conv.cpu import prepare as _prepare_on_cpu
from genolm_kernels.fft_conv.packed import layout_here
from genolm_kernels.fft_conv.reference import reference
from genolm_kernels.fft_conv.spectrum import RFFT, FilterSpectrum, rfft_spectrum

__all__ = ["BACKENDS", "PREPARE", "FilterSpectrum", "fft_conv", "prepare_filter", "serves"]


def _triton(*args: Any) -> Tensor:
    from genolm_kernels.fft_conv.triton import triton_fft_conv

    return triton_fft_conv(*args)


def _prepare_by_triton(k: Tensor, length: int) -> FilterSpectrum:
    from genolm_kernels.fft_conv.triton import prepare

    return prepare(k, length)


def _triton_refuses(u: Tensor, k: Tensor | FilterSpectrum, *rest: object) -> str | None:
    if isinstance(k, FilterSpectrum):
        return _prepared_for_another("monarch", k) or refuses(u, *rest)
    return refuses(u, k, *rest)


def _cpu_refuses(u: Tensor, k: Tensor | FilterSpectrum, *rest: object) -> str | None:
    if isinstance(k, FilterSpectrum):
        return _prepared_for_another("packed", k) or not_on_cpu(u, *rest)
    return not_on_cpu(u, k, *rest)


def _reference_refuses(_: Tensor, k: Tensor | FilterSpectrum, *__: object) -> str | None:
    return _prepared_for_another(RFFT, k) if isinstance(k, FilterSpectrum) else None


def _prepared_for_another(own: str, k: FilterSpectrum) -> str | None:
    kind = k.layout.partition(" ")[0]
    if kind in (own, RFFT):
        return None
    owner = {"packed": "the compiled code of the cpu backend", "monarch": "the triton backend"}
    return f"k was prepared for {owner[kind]}"


BACKENDS: tuple[Backend[Tensor], ...] = (
    Backend("triton", _triton, _triton_refuses, unavailable, automatic),
    Backend("cpu", cpu, _cpu_refuses, never),
    Backend("reference", reference, _reference_refuses, never),
)
PREPARE: tuple[Backend[FilterSpectrum], ...] = (
    Backend("triton", _prepare_by_triton, refuses, unavailable, automatic),
    Backend("cpu", _prepare_on_cpu, not_on_cpu, never),
    Backend("reference", rfft_spectrum, never, never),
)


def fft_conv(
    u: Tensor,
    k: Tensor | FilterSpectrum,
    d: Tensor | None = None,
    *,
    gate_in: Tensor | None = None,
    gate_out: Tensor | None = None,
    reverse: bool = False,
    backend: str | None = None,
) -> Tensor:
    """Convolve each channel with its own long causal filter: y = (conv(v, k) + d v) gate_out.

    Args:
        u: Inputs (batch, length, channels).
        k: Filters (length_k, channels), shorter or longer than the inputs; or what
            `prepare_filter` made of them, through which no gradient goes.
        d: Skip (channels,).
        gate_in: Multiplies the inputs (batch, length, channels): v = u gate_in; None is ones.
        gate_out: Multiplies the outputs (batch, length, channels); None is ones.
        reverse: Whether to look ahead instead: flip(conv(flip(v))) along the length.
        backend: Name of the backend to insist on; None takes the best that runs.

    Returns:
        y (batch, length, channels) in u's type; the spectra are float32 at least.

    Raises:
        ValueError: If shapes, types or devices disagree, or the backend asked for cannot run this
            call.
    """
    if u.dim() != 3 or u.shape[1] == 0 or not u.is_floating_point():
        raise ValueError(
            f"u must be floats (batch, length >= 1, channels), got {tuple(u.shape)} {u.dtype}"
        )
    _check_filter(u, k)
    channels = u.shape[2]
    if d is not None and tuple(d.shape) != (channels,):
        raise ValueError(f"d must be ({channels},), got {tuple(d.shape)}")
    for name, gate in (("gate_in", gate_in), ("gate_out", gate_out)):
        if gate is not None and gate.shape != u.shape:
            raise ValueError(f"{name} must be {tuple(u.shape)} as u is, got {tuple(gate.shape)}")
    values = k.values if isinstance(k, FilterSpectrum) else k
    for name, tensor in (("k", values), ("d", d), ("gate_in", gate_in), ("gate_out", gate_out)):
        if tensor is not None and tensor.device != u.device:
            raise ValueError(f"{name} must be on {u.device} as u is, got {tensor.device}")
    args = (u, k, d, gate_in, gate_out, reverse)
    return choose("fft_conv", BACKENDS, backend, *args).run(*args)


def _check_filter(u: Tensor, k: Tensor | FilterSpectrum) -> None:
    length, channels = u.shape[1:]
    if isinstance(k, Tensor):
        _check_taps(k, channels)
        return
    if k.channels != channels or k.length < length:
        raise ValueError(
            f"k was prepared for {k.channels} channels and up to {k.length} steps, and u is "
            f"{tuple(u.shape)}"
        )
    if u.dtype == torch.float64 and k.dtype != torch.float64:
        raise ValueError(f"k was prepared in {k.dtype}, too narrow for u in {u.dtype}")


def _check_taps(k: Tensor, channels: int | str) -> None:
    right = k.dim() == 2 and k.shape[0] > 0 and k.is_floating_point()
    if not right or (isinstance(channels, int) and k.shape[1] != channels):
        raise ValueError(
            f"k must be floats (length_k >= 1, {channels}), got {tuple(k.shape)} {k.dtype}"
        )


def prepare_filter(
    k: Tensor, length: int | None = None, *, backend: str | None = None
) -> FilterSpectrum:
    """Transform filters once, for many calls of `fft_conv` on the same machine.

    It takes 8 bytes for each tap up to `length`, twice what the filters take; it holds no
    gradient, does not follow later changes of k, and is not for saving.

    Args:
        k: Filters (length_k, channels).
        length: The longest inputs that they will meet; None for length_k.
        backend: Name of the backend that will use it; None for the best that runs.

    Returns:
        What `fft_conv` takes in place of k.

    Raises:
        ValueError: If k or length is wrong, or the backend asked for cannot run here.
    """
    _check_taps(k, "channels")
    length = k.shape[0] if length is None else length
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}")
    chosen = choose("prepare_filter", PREPARE, backend, k, length)
    # A tensor of inference mode could not take part in a backward pass to u later.
    with torch.inference_mode(False), torch.no_grad():
        return chosen.run(k, length)


def serves(spectrum: FilterSpectrum) -> bool:
    """Whether `fft_conv` takes prepared filters as things stand.

    Another backend may have been asked for since, or the compiled code switched off.
    """
    wanted = requested(None)
    if spectrum.layout.startswith("packed"):
        return wanted in (None, "cpu") and spectrum.layout == layout_here(spectrum.size)
    return spectrum.layout == RFFT or wanted in (None, "triton")
