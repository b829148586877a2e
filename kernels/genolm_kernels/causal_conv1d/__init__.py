"""Causal depthwise convolution with a short filter."""

from typing import Any

from torch import Tensor

from genolm_kernels._backend import Backend, choose, never, not_on_cpu
from genolm_kernels._checks import check_filter
from genolm_kernels._triton import automatic, refuses, unavailable
from genolm_kernels.causal_conv1d.cpu import cpu
from genolm_kernels.causal_conv1d.reference import reference

ACTIVATIONS = (None, "silu", "swish")
MOST_TRITON_TAPS = 8  # a thread keeps all taps, and as many inputs, in registers


def _triton(*args: Any) -> Tensor:
    from genolm_kernels.causal_conv1d.triton import triton_causal_conv1d

    return triton_causal_conv1d(*args)


def triton_refuses(*args: Any) -> str | None:
    """The reason why Triton cannot take these arguments, filters second, or None."""
    taps = args[1].shape[1]
    if taps > MOST_TRITON_TAPS:
        return f"it takes at most {MOST_TRITON_TAPS} taps and was given {taps}"
    return refuses(*args)


BACKENDS: tuple[Backend[Tensor], ...] = (
    Backend("triton", _triton, triton_refuses, unavailable, automatic),
    Backend("cpu", cpu, not_on_cpu, never),
    Backend("reference", reference, never, never),
)


def causal_conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    activation: str | None = None,
    reverse: bool = False,
    backend: str | None = None,
) -> Tensor:
    """Convolve each channel with its own short filter that looks back only.

    Args:
        x: Inputs (batch, length, channels).
        weight: Filters (channels, width); the last tap meets the present position.
        bias: Added to the outputs (channels,).
        activation: None, or "silu" (also called "swish") applied to the outputs.
        reverse: Whether the filter looks ahead instead: flip(conv(flip(x))) along the length.
        backend: Name of the backend to insist on; None takes the best that runs.

    Returns:
        y (batch, length, channels) in x's type.

    Raises:
        ValueError: If shapes, types or devices disagree, the activation is unknown, or the backend
            asked for cannot run this call.
    """
    check_filter(x, weight, bias)
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be None, 'silu' or 'swish', got {activation!r}")
    args = (x, weight, bias, activation is not None, reverse)
    return choose("causal_conv1d", BACKENDS, backend, *args).run(*args)
