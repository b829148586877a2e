"""HyenaDNA by its formulae, every convolution by its sum, in numpy's float64."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.models.original.losses import PAD, Output
from tests.models.original.mamba import Array, Tensors, causal_conv, linear, part

BLOCK_EPSILON = 1e-5  # whatever layer_norm_epsilon says
SHIFT = 0.05


def layer_norm(x: Array, tensors: Tensors, name: str, epsilon: float) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
    return scaled * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]


def gelu(x: Array) -> Array:
    """The approximation by tanh."""
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def positions(longest: int, features: int) -> tuple[Array, Array]:
    """The table of position features (longest, features), and of times (longest, 1)."""
    s = np.arange(longest)[:, None]
    t = s / (longest - 1)
    bands = (features - 1) // 2
    angle = np.linspace(1e-4, bands - 1, bands) * (2 * math.pi * s / longest)
    return np.concatenate([t, np.cos(angle), -np.sin(angle)], axis=1), t


def long_filter(f: Tensors, config: Mapping[str, Any], length: int, shift: float) -> Array:
    """The filters (length, d_model) of one mixer: rows of a table of max_seq_len positions."""
    z, t = positions(config["max_seq_len"], config["emb_dim"])
    z, t = f.get("pos_emb.z", z[None])[0], f.get("pos_emb.t", t[None])[0]
    channels = f["bias"].shape[0]
    deltas = np.linspace(math.log(0.01) / 1.5, math.log(0.01) / 0.3, channels)
    deltas = f.get("modulation.deltas", deltas[None, None])[0, 0]
    freq = f.get("implicit_filter.1.freq", np.full((1, 1), float(config["activation_freq"])))
    hidden, last = z[:length], 2 * (config["num_inner_mlps"] + 1)
    for layer in range(0, last, 2):
        hidden = np.sin(freq * linear(hidden, f, f"implicit_filter.{layer}"))
    taps = linear(hidden, f, f"implicit_filter.{last}")
    return taps * (np.exp(-t[:length] * np.abs(deltas)) + shift)


def long_conv(u: Array, k: Array) -> Array:
    """y_t = Σ_s k_s u_{t-s}, for u (batch, length, channels) and k (length, channels)."""
    y = np.zeros_like(u)
    for s in range(u.shape[1]):
        y[:, s:] += k[s] * u[:, : u.shape[1] - s]
    return y


def hyena(x: Array, m: Tensors, config: Mapping[str, Any], shift: float) -> Array:
    """The mixer of order 2 on x (batch, length, d_model)."""
    projected = linear(x, m, "in_proj")
    projected = causal_conv(projected, m["short_filter.weight"], m["short_filter.bias"])
    outer, inner, v = np.split(projected, 3, axis=-1)
    filters = part(m, "filter_fn.")
    v = v * inner
    mixed = long_conv(v, long_filter(filters, config, x.shape[1], shift)) + filters["bias"] * v
    return linear(mixed * outer, m, "out_proj")


def run_backbone(
    tensors: Tensors, config: Mapping[str, Any], ids: NDArray, *, shift: float = SHIFT
) -> tuple[Array, ...]:
    """Embedding, stream after each block, and the final normed states."""
    words = "embeddings.word_embeddings.weight"
    prefix = next(key.removesuffix(words) for key in tensors if key.endswith(words))
    backbone = part(tensors, prefix)
    stream = backbone[words][ids]
    states = [stream]
    for index in range(config["n_layer"]):
        block = part(backbone, f"layers.{index}.")
        normed = layer_norm(stream, block, "norm1", BLOCK_EPSILON)
        stream = stream + hyena(normed, part(block, "mixer."), config, shift)
        normed = layer_norm(stream, block, "norm2", BLOCK_EPSILON)
        stream = stream + linear(gelu(linear(normed, block, "mlp.fc1")), block, "mlp.fc2")
        states.append(stream)
    return (*states, layer_norm(stream, backbone, "ln_f", config["layer_norm_epsilon"]))


def language_model(
    tensors: Tensors, config: Mapping[str, Any], ids: NDArray, *, shift: float = SHIFT
) -> Output:
    """The language model on ids (batch, length), with a head of its own or with the embedding's."""
    states = run_backbone(tensors, config, ids, shift=shift)
    words = next(key for key in tensors if key.endswith("word_embeddings.weight"))
    head = tensors[words if config["tie_word_embeddings"] else "lm_head.weight"]
    return Output(states[-1] @ head.astype(np.float64).T, states, states[-1])


def classifier(tensors: Tensors, config: Mapping[str, Any], ids: NDArray) -> Output:
    """Logits (batch, classes) at the position before the first padding, or at the last one."""
    states = run_backbone(tensors, config, ids)
    scores = states[-1] @ tensors["score.weight"].astype(np.float64).T
    rows = [list(row) for row in ids]
    read = [row.index(PAD) - 1 if PAD in row else -1 for row in rows]
    logits = np.stack([scores[index, position] for index, position in enumerate(read)])
    return Output(logits, states, states[-1])
