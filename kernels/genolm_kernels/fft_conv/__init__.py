"""Causal convolution with a filter as long as the sequence."""

from torch import Tensor

from genolm_kernels._backend import Backend, choose, never, not_on_cpu
from genolm_kernels.fft_conv.cpu import cpu
from genolm_kernels.fft_conv.reference import reference

BACKENDS: tuple[Backend[Tensor], ...] = (
    Backend("cpu", cpu, not_on_cpu, never),
    Backend("reference", reference, never, never),
)


def fft_conv(
    u: Tensor, k: Tensor, d: Tensor | None = None, *, backend: str | None = None
) -> Tensor:
    """Convolve each channel with its own long causal filter, and add d * u.

    Args:
        u: Inputs (batch, length, channels).
        k: Filters (length_k, channels), shorter or longer than the inputs.
        d: Skip (channels,): y gets d * u.
        backend: Name of the backend to insist on; None takes the best that runs.

    Returns:
        y (batch, length, channels) in u's type; the spectra are float32 at least.

    Raises:
        ValueError: If shapes disagree, or the backend asked for cannot run this call.
    """
    if u.dim() != 3 or u.shape[1] == 0:
        raise ValueError(f"u must be (batch, length >= 1, channels), got {tuple(u.shape)}")
    channels = u.shape[2]
    if k.dim() != 2 or k.shape[0] == 0 or k.shape[1] != channels:
        raise ValueError(f"k must be (length_k >= 1, {channels}), got {tuple(k.shape)}")
    if d is not None and tuple(d.shape) != (channels,):
        raise ValueError(f"d must be ({channels},), got {tuple(d.shape)}")
    args = (u, k, d)
    return choose("fft_conv", BACKENDS, backend, *args).run(*args)
