"""Caduceus by its formulae, with every flip and every exchange of strands, in numpy's float64."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tests.models.original.hyenadna import layer_norm
from tests.models.original.losses import Output
from tests.models.original.mamba import Array, Tensors, mamba, part

Config = Mapping[str, Any]


def flip(x: Array) -> Array:
    """Both axes of x (batch, length, channels) backwards."""
    return x[:, ::-1, ::-1]


def normalise(x: Array, tensors: Tensors, name: str, config: Config) -> Array:
    """RMSNorm or LayerNorm, under the name that equivariant or other models give it."""
    if f"{name}.submodule.weight" in tensors:
        name = f"{name}.submodule"
    if not config["rms_norm"]:
        return layer_norm(x, tensors, name, config["norm_epsilon"])
    scale = np.sqrt((x**2).mean(-1, keepdims=True) + config["norm_epsilon"])
    return x / scale * tensors[f"{name}.weight"]


def mix(x: Array, mixer: Tensors, config: Config) -> Array:
    """One Mamba, or two in opposite directions, on x (batch, length, d_model)."""
    first = part(mixer, "mamba_fwd.")
    forward = mamba(x, first)
    if not config["bidirectional"]:
        return forward
    shared = first if config["bidirectional_weight_tie"] else None
    backward = mamba(x[:, ::-1], part(mixer, "mamba_rev."), shared)[:, ::-1]
    added = config["bidirectional_strategy"] == "add"
    return forward + backward if added else forward * backward


def run_plain(backbone: Tensors, config: Config, ids: NDArray) -> tuple[Array, ...]:
    """What enters each block, and the final normed states."""
    x, residual = backbone["embeddings.word_embeddings.weight"][ids], 0.0
    states = []
    for index in range(config["n_layer"]):
        states.append(x)
        block = part(backbone, f"layers.{index}.")
        residual = x + residual
        x = mix(normalise(residual, block, "norm", config), part(block, "mixer."), config)
    return (*states, normalise(x + residual, backbone, "norm_f", config))


def run_equivariant(
    backbone: Tensors, config: Config, ids: NDArray, *, exchange: bool
) -> tuple[Array, ...]:
    """The same with both strands (2 d_model); fused models exchange them in each block."""
    words = part(backbone, "embeddings.word_embeddings.")
    table = words["embedding.weight"]
    first, second = table[ids], flip(table[words["complement_map"][ids[:, ::-1]]])
    residuals = 0.0, 0.0
    states = []
    for index in range(config["n_layer"]):
        states.append(np.concatenate([first, second], axis=-1))
        block = part(backbone, f"layers.{index}.")
        mixer = part(block, "mixer.submodule.")
        sums = first + residuals[0], second + residuals[1]
        residuals = (sums[1], sums[0]) if exchange else sums
        first = normalise(residuals[0], block, "norm", config)
        second = flip(normalise(flip(residuals[1]), block, "norm", config))
        first, second = mix(first, mixer, config), flip(mix(flip(second), mixer, config))
    first = normalise(first + residuals[0], backbone, "norm_f", config)
    second = flip(normalise(flip(second + residuals[1]), backbone, "norm_f", config))
    return (*states, np.concatenate([first, second], axis=-1))


def run_backbone(
    tensors: Tensors, config: Config, ids: NDArray, *, exchange: bool | None = None
) -> tuple[Array, ...]:
    """What enters each block, and the final normed states.

    exchange: whether strands change places, against what the config says.
    """
    marker = "embeddings.word_embeddings."
    prefix = next(key.split(marker)[0] for key in tensors if marker in key)
    backbone = part(tensors, prefix)
    if not config["rcps"]:
        return run_plain(backbone, config, ids)
    exchange = config["fused_add_norm"] if exchange is None else exchange
    return run_equivariant(backbone, config, ids, exchange=exchange)


def publish(states: tuple[Array, ...], config: Config) -> tuple[Array, ...]:
    """The tuple that the original returns: without the last one where add and norm are apart."""
    return states if config["fused_add_norm"] else states[:-1]


def language_model(
    tensors: Tensors, config: Config, ids: NDArray, *, exchange: bool | None = None
) -> Output:
    """The language model on ids (batch, length); its head is the embedding."""
    states = run_backbone(tensors, config, ids, exchange=exchange)
    name = "embedding.weight" if config["rcps"] else "word_embeddings.weight"
    table = next(value for key, value in tensors.items() if key.endswith(name)).astype(np.float64)
    last = states[-1]
    if config["rcps"]:
        first, second = np.split(last, 2, axis=-1)
        buffer = next(value for key, value in tensors.items() if key.endswith("complement_map"))
        logits = first @ table.T + second[..., ::-1] @ table[buffer].T
    else:
        logits = last @ table.T
    return Output(logits, publish(states, config), last)


def classifier(
    tensors: Tensors, config: Config, ids: NDArray, pooling: Literal["mean", "max"] = "mean"
) -> Output:
    """Logits (batch, classes) from ids (batch, length), or of both strands (batch, length, 2)."""
    both = ids.ndim == 3
    states = run_backbone(tensors, config, ids[..., 0] if both else ids)
    strands = [states[-1]]
    if both:
        strands.append(run_backbone(tensors, config, ids[..., 1])[-1])
    elif config["rcps"]:
        first, second = np.split(states[-1], 2, axis=-1)
        strands = [first, flip(second)]
    head = tensors["score.weight"].astype(np.float64)
    pooled = [strand.mean(1) if pooling == "mean" else strand.max(1) for strand in strands]
    logits = sum(vector @ head.T for vector in pooled) / len(pooled)
    return Output(logits, publish(states, config), states[-1])
