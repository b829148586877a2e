"""Adding to the residual stream and normalising the sum, in one pass."""

from typing import Any

import torch
from torch import Tensor

from genolm_kernels._backend import Backend, choose, never, not_on_cpu
from genolm_kernels._checks import check_numbers
from genolm_kernels._triton import automatic, refuses, unavailable
from genolm_kernels.add_norm.cpu import cpu
from genolm_kernels.add_norm.reference import reference

MOST_TRITON_CHANNELS = 4096  # a row of them stays in registers


def _triton(*args: Any) -> tuple[Tensor, Tensor]:
    from genolm_kernels.add_norm.triton import triton_add_norm

    return triton_add_norm(*args)


def _triton_refuses(*args: Any) -> str | None:
    channels = args[0].shape[2]
    if channels > MOST_TRITON_CHANNELS:
        return f"it takes at most {MOST_TRITON_CHANNELS} channels and was given {channels}"
    return refuses(*args)


BACKENDS: tuple[Backend[tuple[Tensor, Tensor]], ...] = (
    Backend("triton", _triton, _triton_refuses, unavailable, automatic),
    Backend("cpu", cpu, not_on_cpu, never),
    Backend("reference", reference, never, never),
)


def add_norm(
    hidden: Tensor,
    residual: Tensor | None,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    eps: float = 1e-5,
    rms: bool = True,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Add hidden states to a residual stream, and normalise the sum over channels.

    Args:
        hidden: What is added (batch, length, d_model).
        residual: The stream before (batch, length, d_model); None makes hidden the sum itself.
        weight: Scale of the normed channels (d_model,).
        bias: Added to the normed channels (d_model,).
        eps: Added to the mean square or variance.
        rms: Whether to divide by the root mean square (RMSNorm), or else to take off the mean
            and divide by the standard deviation (LayerNorm).
        backend: Name of the backend to insist on; None takes the best that runs.

    Returns:
        The normed sum in weight's type, and the sum, in float32 at least; both
        (batch, length, d_model).

    Raises:
        ValueError: If shapes, types or devices disagree, or the backend asked for cannot run this
            call.
    """
    if hidden.dim() != 3 or hidden.shape[2] == 0:
        form = "(batch, length, d_model >= 1)"
        raise ValueError(f"hidden must be {form}, got {tuple(hidden.shape)}")
    shapes: dict[str, tuple[Tensor | None, torch.Size]] = {
        "residual": (residual, hidden.shape),
        "weight": (weight, hidden.shape[2:]),
        "bias": (bias, hidden.shape[2:]),
    }
    for name, (tensor, shape) in shapes.items():
        if tensor is not None and tensor.shape != shape:
            raise ValueError(f"{name} must be {tuple(shape)}, got {tuple(tensor.shape)}")
    check_numbers({"hidden": hidden, "residual": residual, "weight": weight, "bias": bias})
    args = (hidden, residual, weight, bias, eps, rms)
    return choose("add_norm", BACKENDS, backend, *args).run(*args)
