"""A model as a folder in the published layout, which the original code of its family reads."""

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from genolm.errors import UsageError
from genolm.models.backbone import GenolmModel
from genolm.models.caduceus import convert_caduceus
from genolm.models.caduceus.configuration_caduceus import CaduceusConfig
from genolm.models.configuration import GenolmConfig, maximum_length
from genolm.models.hyenadna import convert_hyenadna
from genolm.models.hyenadna.configuration_hyenadna import HyenaDNAConfig

# The originals' own names; a tokenizer's code is theirs, and a plain Mamba is a Caduceus there.
ARCHITECTURES = frozenset(
    {
        "Caduceus",
        "CaduceusForMaskedLM",
        "CaduceusForSequenceClassification",
        "HyenaDNAForCausalLM",
        "HyenaDNAForSequenceClassification",
        "HyenaDNAModel",
    }
)
NO_LIMIT = 1_000_000
SAME = {"CaduceusForCausalLM": "CaduceusForMaskedLM"}
TOKENIZERS = {"caduceus": "CaduceusTokenizer", "hyenadna": "HyenaDNATokenizer"}


def save_hub_layout(model: GenolmModel, folder: str | Path) -> Path:
    """Write a model for the original code of its family.

    Shared tensors are stored once, under the name that comes first in the original, except for
    HyenaDNA's head, which is a weight of its own there. Tables that follow from the config are
    stored too. There is no `auto_map`: the original classes are to be imported from their own code.

    Args:
        model: A model of either family.
        folder: Where to write config.json, model.safetensors and tokenizer_config.json.

    Returns:
        The folder.

    Raises:
        UsageError: If the original code has no such model.
    """
    name = type(model).__name__
    architecture = SAME.get(name, name)
    if architecture not in ARCHITECTURES:
        raise UsageError(f"the original code has no {name}")
    config = model.config
    assert isinstance(config, GenolmConfig)
    options = {
        **_published(model),
        "architectures": [architecture],
        "model_type": config.model_type,
        "torch_dtype": str(model.dtype).removeprefix("torch."),
        **_labels(model),
        **_ours(config),
    }
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    # Not sorted: the original reads the complement map by the order in which it stands.
    _write_json(place / "config.json", dict(sorted(options.items())))
    save_file(published_tensors(model), place / "model.safetensors", metadata={"format": "pt"})
    tokenizer = {
        "model_max_length": maximum_length(config) or config.training_length or NO_LIMIT,
        "padding_side": "left",
        "tokenizer_class": TOKENIZERS[config.model_type],
    }
    _write_json(place / "tokenizer_config.json", tokenizer)
    return place


def published_tensors(model: GenolmModel) -> dict[str, Tensor]:
    """Name to tensor, as published files hold them."""
    tied = dict(model.all_tied_weights_keys)
    if isinstance(model.config, HyenaDNAConfig):
        tied.pop("lm_head.weight", None)
    return {
        key: tensor.detach().cpu().contiguous().clone()
        for key, tensor in model.state_dict().items()
        if key not in tied
    }


def _published(model: GenolmModel) -> dict[str, Any]:
    config = model.config
    if isinstance(config, CaduceusConfig):
        return convert_caduceus.publish_options(config)
    assert isinstance(config, HyenaDNAConfig)
    return convert_hyenadna.publish_options(config)


def _ours(config: GenolmConfig) -> dict[str, Any]:
    """What the original code keeps without reading it, and genolm reads again."""
    causal = {"objective": config.objective} if config.objective == "causal_lm" else {}
    length = config.training_length
    return causal if length is None else {**causal, "training_length": length}


def _labels(model: GenolmModel) -> dict[str, Any]:
    if "Classification" not in type(model).__name__:
        return {}
    config = model.config
    kept = {"id2label": config.id2label, "label2id": config.label2id}
    return kept if config.problem_type is None else {**kept, "problem_type": config.problem_type}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
