"""Causal depthwise convolution with a short filter."""

from torch import Tensor

from genolm_kernels._backend import Backend, choose, never, not_on_cpu
from genolm_kernels.causal_conv1d.cpu import cpu
from genolm_kernels.causal_conv1d.reference import reference

ACTIVATIONS = (None, "silu", "swish")
BACKENDS: tuple[Backend[Tensor], ...] = (
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
        ValueError: If shapes disagree, the activation is unknown, or the backend asked for cannot
            run this call.
    """
    if x.dim() != 3:
        raise ValueError(f"x must be (batch, length, channels), got {tuple(x.shape)}")
    channels = x.shape[2]
    if weight.dim() != 2 or weight.shape[0] != channels or weight.shape[1] == 0:
        raise ValueError(f"weight must be ({channels}, width), got {tuple(weight.shape)}")
    if bias is not None and tuple(bias.shape) != (channels,):
        raise ValueError(f"bias must be ({channels},), got {tuple(bias.shape)}")
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be None, 'silu' or 'swish', got {activation!r}")
    args = (x, weight, bias, activation is not None, reverse)
    return choose("causal_conv1d", BACKENDS, backend, *args).run(*args)
