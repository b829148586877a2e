"""The short convolution of a Hyena mixer, and its first gate, in one pass."""

from typing import Any

from torch import Tensor

from genolm_kernels._backend import Backend, choose, never, not_on_cpu
from genolm_kernels._checks import check_filter
from genolm_kernels._triton import automatic, unavailable
from genolm_kernels.causal_conv1d import triton_refuses
from genolm_kernels.gated_short_conv.cpu import cpu
from genolm_kernels.gated_short_conv.reference import reference


def _triton(*args: Any) -> tuple[Tensor, Tensor]:
    from genolm_kernels.gated_short_conv.triton import triton_gated_short_conv

    return triton_gated_short_conv(*args)


BACKENDS: tuple[Backend[tuple[Tensor, Tensor]], ...] = (
    Backend("triton", _triton, triton_refuses, unavailable, automatic),
    Backend("cpu", cpu, not_on_cpu, never),
    Backend("reference", reference, never, never),
)


def gated_short_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    parts: int,
    reverse: bool = False,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Convolve each channel with its own short filter, and multiply the last two parts.

    Args:
        x: Inputs (batch, length, parts * d), the parts as blocks of channels.
        weight: Filters (parts * d, width); the last tap meets the present position.
        bias: Added to the convolutions (parts * d,).
        parts: How many blocks of channels there are, at least 2: the gates, then what is gated.
        reverse: Whether the filter looks ahead instead: flip(conv(flip(x))) along the length.
        backend: Name of the backend to insist on; None takes the best that runs.

    Returns:
        The product of the last two convolved parts (batch, length, d), and the other ones
        (batch, length, (parts - 2) * d), both in x's type.

    Raises:
        ValueError: If shapes, types or devices disagree, or the backend asked for cannot run this
            call.
    """
    check_filter(x, weight, bias)
    channels = x.shape[2]
    if parts < 2 or channels % parts:
        raise ValueError(f"parts must be at least 2 and divide {channels} channels, got {parts}")
    args = (x, weight, bias, parts, reverse)
    return choose("gated_short_conv", BACKENDS, backend, *args).run(*args)
