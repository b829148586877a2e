"""One position of a causal depthwise convolution, for generation."""

from typing import Any

from torch import Tensor

from genolm_kernels._backend import Backend, choose, never, not_on_cpu
from genolm_kernels._triton import automatic, refuses_gradients, unavailable
from genolm_kernels.causal_conv1d import ACTIVATIONS
from genolm_kernels.causal_conv1d_step.cpu import cpu
from genolm_kernels.causal_conv1d_step.reference import reference


def _triton(*args: Any) -> tuple[Tensor, Tensor]:
    from genolm_kernels.causal_conv1d_step.triton import triton_causal_conv1d_step

    return triton_causal_conv1d_step(*args)


BACKENDS: tuple[Backend[tuple[Tensor, Tensor]], ...] = (
    Backend("triton", _triton, refuses_gradients, unavailable, automatic),
    Backend("cpu", cpu, not_on_cpu, never),
    Backend("reference", reference, never, never),
)


def causal_conv1d_step(
    window: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    activation: str | None = None,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Convolve the next position of a sequence that `causal_conv1d` would take whole.

    Args:
        window: The last inputs (batch, width - 1, channels), the latest last; zeros at the start.
        x: The next inputs (batch, channels).
        weight: Filters (channels, width); the last tap meets x.
        bias: Added to the outputs (channels,).
        activation: None, or "silu" (also called "swish") applied to the outputs.
        backend: Name of the backend to insist on; None takes the best that runs.

    Returns:
        y (batch, channels) in x's type, and the new window, in the old one's type.

    Raises:
        ValueError: If shapes disagree, the activation is unknown, or the backend asked for cannot
            run this call.
    """
    if x.dim() != 2 or not x.is_floating_point():
        raise ValueError(f"x must be floats (batch, channels), got {tuple(x.shape)} {x.dtype}")
    batch, channels = x.shape
    if weight.dim() != 2 or weight.shape[0] != channels or weight.shape[1] == 0:
        raise ValueError(f"weight must be ({channels}, width), got {tuple(weight.shape)}")
    wanted = (batch, weight.shape[1] - 1, channels)
    if tuple(window.shape) != wanted:
        raise ValueError(f"window must be {wanted}, got {tuple(window.shape)}")
    if bias is not None and tuple(bias.shape) != (channels,):
        raise ValueError(f"bias must be ({channels},), got {tuple(bias.shape)}")
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be None, 'silu' or 'swish', got {activation!r}")
    args = (window, x, weight, bias, activation is not None)
    return choose("causal_conv1d_step", BACKENDS, backend, *args).run(*args)
