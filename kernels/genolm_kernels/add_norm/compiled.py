"""Residual sum and norm by the compiled library; rows are read where they lie, by strides."""

import torch
from torch import Tensor

from genolm_kernels.native import call as native


def takes(total: Tensor, dtype: torch.dtype) -> bool:
    """Whether the compiled library is there and computes on rows of this type."""
    return total.numel() > 0 and native.takes(dtype, total.shape[2])


def forward(
    hidden: Tensor,
    residual: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    eps: float,
    rms: bool,
) -> tuple[Tensor, Tensor | None]:
    """Add and normalise; arguments as in `genolm_kernels.add_norm`.

    Returns:
        The normed sum and the sum (batch, length, d_model) in float32; no sum where there is no
        residual.
    """
    shape, wide = hidden.shape, _Rows(hidden, residual)
    normed = torch.empty(shape, dtype=torch.float32)
    total = None if residual is None else torch.empty(shape, dtype=torch.float32)
    native.call(
        "genolm_add_norm",
        *wide.arguments,
        _dense(weight),
        _dense(bias),
        normed,
        total,
        float(eps),
        rms,
        *wide.sizes,
    )
    return normed, total


def backward(
    total: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    eps: float,
    rms: bool,
    dnormed: Tensor,
    dtotal: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of `forward`.

    Returns:
        Gradients of the sum (batch, length, d_model), weight and bias (d_model,) in float32.
    """
    rows, cotangents = _Rows(total), _Rows(dnormed, dtotal)
    dhidden = torch.empty(total.shape, dtype=torch.float32)
    count, channels, items = rows.sizes
    sums = torch.empty(items, 2, channels, dtype=torch.float32)
    native.call(
        "genolm_add_norm_backward",
        *rows.arguments[:2],
        _dense(weight),
        _dense(bias),
        *cotangents.arguments,
        dhidden,
        sums,
        float(eps),
        rms,
        count,
        channels,
        items,
    )
    dweight, dbias = native.add_up(sums)
    return dhidden, dweight, dbias.clone()


class _Rows:
    """Two tensors (batch, length, channels), the second perhaps None, as rows for the library."""

    def __init__(self, first: Tensor, second: Tensor | None = None) -> None:
        channels = first.shape[2]
        self.first = native.dense_rows(first.reshape(-1, channels))
        self.second = None
        arguments: list[Tensor | int | None] = [self.first, self.first.stride(0), None, 0]
        if second is not None:
            self.second = native.dense_rows(second.reshape(-1, channels))
            arguments[2:] = [self.second, self.second.stride(0)]
        self.arguments = arguments
        self.sizes = (*self.first.shape, native.items(self.first.numel()))


def _dense(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.float().contiguous()
