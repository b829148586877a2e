"""Hub folders as they are published: config keys, tensor names and files, with random weights."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from safetensors.numpy import save_file

Tensors = dict[str, NDArray]

# A and T, C and G; every other token of the 16 is its own complement.
DNA_COMPLEMENT = np.array([0, 1, 2, 3, 4, 5, 6, 10, 9, 8, 7, 11, 12, 13, 14, 15])
WRITTEN_BY = {"torch_dtype": "float32", "transformers_version": "4.38.1"}
HYENADNA: dict[str, Any] = {
    "activation_freq": 10,
    "architectures": ["HyenaDNAForCausalLM"],
    "auto_map": {
        "AutoConfig": "configuration_hyena.HyenaConfig",
        "AutoModel": "modeling_hyena.HyenaDNAModel",
        "AutoModelForCausalLM": "modeling_hyena.HyenaDNAForCausalLM",
        "AutoModelForSequenceClassification": "modeling_hyena.HyenaDNAForSequenceClassification",
    },
    "d_inner": 20,
    "d_model": 10,
    "emb_dim": 5,
    "embed_dropout": 0.1,
    "filter_order": 8,
    "hyena_dropout": 0.0,
    "hyena_filter_dropout": 0.0,
    "hyena_order": 2,
    "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-05,
    "max_seq_len": 66,
    "model_type": "hyenadna",
    "n_layer": 2,
    "num_inner_mlps": 2,
    "pad_token_id": 4,
    "pad_vocab_size_multiple": 8,
    "short_filter_order": 3,
    "tie_word_embeddings": False,
    "train_freq": True,
    "use_bias": True,
    "vocab_size": 12,
    **WRITTEN_BY,
}
SSM: dict[str, Any] = {
    "bias": False,
    "conv_bias": True,
    "d_conv": 4,
    "d_state": 16,
    "dt_init": "random",
    "dt_init_floor": 0.0001,
    "dt_max": 0.1,
    "dt_min": 0.001,
    "dt_rank": "auto",
    "dt_scale": 1.0,
    "expand": 2,
    "use_fast_path": True,
}
CADUCEUS: dict[str, Any] = {
    "architectures": ["CaduceusForMaskedLM"],
    "auto_map": {
        "AutoConfig": "configuration_caduceus.CaduceusConfig",
        "AutoModel": "modeling_caduceus.Caduceus",
        "AutoModelForMaskedLM": "modeling_caduceus.CaduceusForMaskedLM",
        "AutoModelForSequenceClassification": (
            "modeling_caduceus.CaduceusForSequenceClassification"
        ),
    },
    "bidirectional": True,
    "bidirectional_strategy": "add",
    "bidirectional_weight_tie": True,
    "complement_map": {str(index): int(other) for index, other in enumerate(DNA_COMPLEMENT)},
    "d_model": 12,
    "fused_add_norm": True,
    "initializer_cfg": {
        "initializer_range": 0.02,
        "n_residuals_per_layer": 1,
        "rescale_prenorm_residual": True,
    },
    "model_type": "caduceus",
    "n_layer": 2,
    "norm_epsilon": 1e-05,
    "pad_vocab_size_multiple": 8,
    "rcps": False,
    "residual_in_fp32": False,
    "rms_norm": True,
    "ssm_cfg": SSM,
    "vocab_size": 16,
    **WRITTEN_BY,
}


def make_config(family: str, **changes: Any) -> dict[str, Any]:
    """A published config; options of ssm_cfg are changed under their own names."""
    config = dict(HYENADNA if family == "hyenadna" else CADUCEUS)
    inner = {name: changes.pop(name) for name in list(changes) if name in SSM}
    if inner:
        config["ssm_cfg"] = {**SSM, **inner}
    return {**config, **changes}


def rows_of(config: Mapping[str, Any]) -> int:
    """Rows of the embedding: vocab_size, rounded up."""
    multiple = config["pad_vocab_size_multiple"]
    return math.ceil(config["vocab_size"] / multiple) * multiple


class Weights:
    """Draws tensors one by one; nothing stands at 0 or 1 by chance."""

    def __init__(self, seed: int) -> None:
        self.rng: Generator = np.random.default_rng(seed)
        self.tensors: Tensors = {}

    def draw(self, name: str, *shape: int, scale: float, around: Any = 0.0) -> None:
        values = around + scale * self.rng.standard_normal(shape)
        self.tensors[name] = values.astype(np.float32)

    def linear(self, name: str, out: int, into: int, *, bias: bool, gain: float = 1.0) -> None:
        self.draw(f"{name}.weight", out, into, scale=gain / math.sqrt(into))
        if bias:
            self.draw(f"{name}.bias", out, scale=0.2)

    def norm(self, name: str, size: int, *, bias: bool) -> None:
        self.draw(f"{name}.weight", size, scale=0.3, around=1.0)
        if bias:
            self.draw(f"{name}.bias", size, scale=0.3)


def hyenadna_tensors(
    config: Mapping[str, Any], seed: int, *, prefix: str = "hyena.", buffers: bool = True
) -> Tensors:
    """Tensors of a HyenaDNA folder; buffers: z, t and deltas, which some files have."""
    weights, width, inner = Weights(seed), config["d_model"], config["d_inner"]
    weights.draw(
        f"{prefix}backbone.embeddings.word_embeddings.weight", rows_of(config), width, scale=1.0
    )
    for index in range(config["n_layer"]):
        block = f"{prefix}backbone.layers.{index}"
        weights.linear(f"{block}.mixer.in_proj", 3 * width, width, bias=True)
        weights.linear(f"{block}.mixer.out_proj", width, width, bias=True)
        short = f"{block}.mixer.short_filter"
        weights.draw(f"{short}.weight", 3 * width, 1, config["short_filter_order"], scale=0.5)
        weights.draw(f"{short}.bias", 3 * width, scale=0.2)
        _filter_tensors(weights, f"{block}.mixer.filter_fn", config, buffers)
        weights.norm(f"{block}.norm1", width, bias=True)
        weights.norm(f"{block}.norm2", width, bias=True)
        weights.linear(f"{block}.mlp.fc1", inner, width, bias=True)
        weights.linear(f"{block}.mlp.fc2", width, inner, bias=True)
    weights.norm(f"{prefix}backbone.ln_f", width, bias=True)
    if "ForCausalLM" in config["architectures"][0] and not config["tie_word_embeddings"]:
        weights.draw("lm_head.weight", rows_of(config), width, scale=0.5)
    return weights.tensors


def _filter_tensors(weights: Weights, name: str, config: Mapping[str, Any], buffers: bool) -> None:
    width, hidden, inner = config["d_model"], config["filter_order"], config["num_inner_mlps"]
    longest, features = config["max_seq_len"], config["emb_dim"]
    weights.draw(f"{name}.bias", width, scale=1.0)
    sizes = [features, *[hidden] * (inner + 1)]
    for layer in range(inner + 1):
        linear = f"{name}.implicit_filter.{2 * layer}"
        weights.linear(linear, hidden, sizes[layer], bias=True, gain=0.2)
    last = 2 * (inner + 1)
    weights.linear(f"{name}.implicit_filter.{last}", width, hidden, bias=False)
    if config["train_freq"]:
        freq = float(config["activation_freq"])
        weights.draw(f"{name}.implicit_filter.1.freq", 1, hidden, scale=0.5, around=freq)
    if buffers:
        # Off their formulae, so that whoever computes them anew is found out.
        weights.draw(f"{name}.pos_emb.z", 1, longest, features, scale=0.5)
        weights.draw(f"{name}.pos_emb.t", 1, longest, 1, scale=0.2, around=0.5)
        weights.draw(f"{name}.modulation.deltas", 1, 1, width, scale=2.0, around=-6.0)


def caduceus_tensors(config: Mapping[str, Any], seed: int, *, prefix: str = "caduceus.") -> Tensors:
    """Tensors of a Caduceus folder, each shared one under its first name only."""
    weights, width = Weights(seed), config["d_model"]
    words = f"{prefix}backbone.embeddings.word_embeddings"
    table = f"{words}.embedding" if config["rcps"] else words
    weights.draw(f"{table}.weight", rows_of(config), width, scale=1.0)
    given = {int(key): value for key, value in config["complement_map"].items()}
    complement = np.array([given.get(index, index) for index in range(rows_of(config))])
    if config["rcps"]:
        weights.tensors[f"{words}.complement_map"] = complement
    wrapped, own_norm = config["rcps"], config["rcps"] and not config["fused_add_norm"]
    norm = "norm.submodule" if own_norm else "norm"
    for index in range(config["n_layer"]):
        block = f"{prefix}backbone.layers.{index}"
        mixer = f"{block}.mixer.submodule" if wrapped else f"{block}.mixer"
        _mamba_tensors(weights, f"{mixer}.mamba_fwd", config, projections=True)
        if config["bidirectional"]:
            untied = not config["bidirectional_weight_tie"]
            _mamba_tensors(weights, f"{mixer}.mamba_rev", config, projections=untied)
        weights.norm(f"{block}.{norm}", width, bias=not config["rms_norm"])
    last = "norm_f.submodule" if own_norm else "norm_f"
    weights.norm(f"{prefix}backbone.{last}", width, bias=not config["rms_norm"])
    if config["rcps"] and "ForMaskedLM" in config["architectures"][0]:
        weights.tensors["lm_head.complement_map"] = complement
    return weights.tensors


def _mamba_tensors(
    weights: Weights, name: str, config: Mapping[str, Any], *, projections: bool
) -> None:
    ssm, width = config["ssm_cfg"], config["d_model"]
    inner, states = ssm["expand"] * width, ssm["d_state"]
    rank = math.ceil(width / 16) if ssm["dt_rank"] == "auto" else ssm["dt_rank"]
    if projections:
        weights.linear(f"{name}.in_proj", 2 * inner, width, bias=ssm["bias"])
        weights.linear(f"{name}.out_proj", width, inner, bias=ssm["bias"])
    weights.draw(f"{name}.conv1d.weight", inner, 1, ssm["d_conv"], scale=0.5)
    if ssm["conv_bias"]:
        weights.draw(f"{name}.conv1d.bias", inner, scale=0.2)
    weights.linear(f"{name}.x_proj", rank + 2 * states, inner, bias=False)
    weights.draw(f"{name}.dt_proj.weight", inner, rank, scale=1 / math.sqrt(rank))
    weights.draw(f"{name}.dt_proj.bias", inner, scale=1.0, around=-2.0)
    rates = np.log(np.arange(1, states + 1))
    weights.draw(f"{name}.A_log", inner, states, scale=0.3, around=rates)
    weights.draw(f"{name}.D", inner, scale=0.3, around=1.0)


def make_tensors(config: Mapping[str, Any], seed: int, **options: Any) -> Tensors:
    """Tensors of a folder of either family."""
    make = hyenadna_tensors if config["model_type"] == "hyenadna" else caduceus_tensors
    tensors: Tensors = make(config, seed, **options)
    if "id2label" in config:
        head = Weights(seed + 1)
        head.draw("score.weight", len(config["id2label"]), config["d_model"], scale=0.5)
        tensors |= head.tensors
    return tensors


def make_classifier(config: Mapping[str, Any], classes: int) -> dict[str, Any]:
    """The config of a classifier with the options of a language model."""
    stem = config["architectures"][0].split("For")[0]
    names = [f"LABEL_{index}" for index in range(classes)]
    return {
        **config,
        "architectures": [f"{stem}ForSequenceClassification"],
        "id2label": {str(index): name for index, name in enumerate(names)},
        "label2id": {name: index for index, name in enumerate(names)},
    }


def write_folder(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, NDArray]) -> Path:
    """config.json and model.safetensors."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    save_file(dict(tensors), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def write_bin(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, NDArray]) -> Path:
    """config.json and pytorch_model.bin, as before safetensors."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    content = {key: torch.from_numpy(value) for key, value in tensors.items()}
    torch.save(content, folder / "pytorch_model.bin")
    return folder


def write_shards(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, NDArray]) -> Path:
    """config.json, two safetensors files and the index that says what is in which."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    names = sorted(tensors)
    halves = names[: len(names) // 2], names[len(names) // 2 :]
    places: dict[str, str] = {}
    for number, half in enumerate(halves, start=1):
        file = f"model-{number:05}-of-00002.safetensors"
        save_file({key: tensors[key] for key in half}, folder / file, metadata={"format": "pt"})
        places |= dict.fromkeys(half, file)
    total = sum(value.nbytes for value in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))
    return folder
