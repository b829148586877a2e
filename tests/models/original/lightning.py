"""Files as trainers and older writers left them: repeated tensors, prefixes, foreign objects."""

import collections
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

Tensors = dict[str, NDArray]
SAME_NAME = ("d_model", "n_layer", "d_inner", "vocab_size", "pad_vocab_size_multiple")


def repeat_shared(config: Mapping[str, Any], tensors: Mapping[str, NDArray]) -> Tensors:
    """Every shared tensor under each of its names, as in a state dict."""
    copies: Tensors = {}
    for key, value in tensors.items():
        if key.endswith("implicit_filter.1.freq"):
            for number in range(3, 2 * config["num_inner_mlps"] + 2, 2):
                copies[key.replace(".1.freq", f".{number}.freq")] = value
        if ".mamba_fwd.in_proj." in key or ".mamba_fwd.out_proj." in key:
            copies[key.replace("mamba_fwd", "mamba_rev")] = value
        if key.endswith("word_embeddings.embedding.weight"):
            copies["lm_head.lm_head.weight"] = value
        elif key.endswith("word_embeddings.weight") and config.get("tie_word_embeddings", True):
            copies["lm_head.weight"] = value
    return {**tensors, **{key: value.copy() for key, value in copies.items()}}


class Foreign:
    """Stands for the objects of other packages in a training checkpoint."""


def write_lightning(
    folder: Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, NDArray],
    *,
    wrapped: bool = False,
    **changes: Any,
) -> Path:
    """An original HyenaDNA folder: weights.ckpt, and config.json with the mixer's own options.

    wrapped: whether keys say `.layer`, as those of models trained with checkpointing do.
    changes: options of the mixer that are not derived from the config.
    """
    state = collections.OrderedDict()
    for key, value in repeat_shared(config, tensors).items():
        name = f"model.{key.removeprefix('hyena.')}"
        if wrapped:
            name = name.replace(".mixer.", ".mixer.layer.").replace(".mlp.", ".mlp.layer.")
        state[name] = torch.from_numpy(value)
    state["train_torchmetrics.total"] = torch.zeros(())
    content = {"state_dict": state, "hyper_parameters": Foreign(), "epoch": 3}
    layer = {
        "_name_": "hyena",
        "emb_dim": config["emb_dim"],
        "filter_order": config["filter_order"],
        "l_max": config["max_seq_len"],
        "modulate": True,
        "w": config["activation_freq"],
        "lr": 6e-4,
        "wd": 0.0,
        "lr_pos_emb": 0.0,
        **changes,
    }
    # The flags are not to be trusted: they say the opposite of the keys.
    flags = {"checkpoint_mixer": not wrapped, "checkpoint_mlp": not wrapped}
    written = {**{name: config[name] for name in SAME_NAME}, **flags, "layer": layer}
    folder.mkdir()
    torch.save(content, folder / "weights.ckpt")
    (folder / "config.json").write_text(json.dumps(written))
    return folder
