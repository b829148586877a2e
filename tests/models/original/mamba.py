"""Mamba-1 by its recurrence, one position at a time, in numpy's float64.

Written from the published formulae alone; nothing of genolm is imported here or beside it.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Tensors = Mapping[str, NDArray]


def part(tensors: Tensors, prefix: str) -> dict[str, NDArray]:
    """The tensors below a name, under the rest of their names; floats in float64."""
    return {
        key.removeprefix(prefix): value.astype(np.float64) if value.dtype.kind == "f" else value
        for key, value in tensors.items()
        if key.startswith(prefix)
    }


def linear(x: Array, tensors: Tensors, name: str) -> Array:
    """x Wᵀ + b, for x (..., in); no b where the file has none."""
    y = x @ tensors[f"{name}.weight"].T
    return y + tensors[f"{name}.bias"] if f"{name}.bias" in tensors else y


def sigmoid(x: Array) -> Array:
    return np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), 1 - 1 / (1 + np.exp(-np.abs(x))))


def silu(x: Array) -> Array:
    return x * sigmoid(x)


def softplus(x: Array) -> Array:
    """log(1 + exp(x)), and x itself above 20."""
    return np.where(x > 20, x, np.log1p(np.exp(np.minimum(x, 20))))


def causal_conv(x: Array, weight: Array, bias: Array | None) -> Array:
    """Each channel of x (batch, length, channels) with its taps (channels, 1, width)."""
    width = weight.shape[-1]
    y = np.zeros_like(x)
    for t in range(x.shape[1]):
        for j in range(width):
            if t - (width - 1) + j >= 0:
                y[:, t] += weight[:, 0, j] * x[:, t - (width - 1) + j]
    return y if bias is None else y + bias


def mamba(x: Array, m: Tensors, projections: Tensors | None = None) -> Array:
    """The mixer on x (batch, length, d_model).

    projections: where in_proj and out_proj are, if the mixer shares another one's.
    """
    outer = projections or m
    states, rank = m["A_log"].shape[1], m["dt_proj.weight"].shape[1]
    u, z = np.split(linear(x, outer, "in_proj"), 2, axis=-1)
    u = silu(causal_conv(u, m["conv1d.weight"], m.get("conv1d.bias")))
    low, b, c = np.split(linear(u, m, "x_proj"), [rank, rank + states], axis=-1)
    step = softplus(linear(low, m, "dt_proj"))
    decay = -np.exp(m["A_log"])
    state = np.zeros((*u[:, 0].shape, states))
    y = np.zeros_like(u)
    for t in range(u.shape[1]):
        kept = np.exp(step[:, t, :, None] * decay) * state
        state = kept + (step[:, t] * u[:, t])[..., None] * b[:, t, None, :]
        y[:, t] = (state * c[:, t, None, :]).sum(-1) + m["D"] * u[:, t]
    return linear(y * silu(z), outer, "out_proj")
