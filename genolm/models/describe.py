"""What a model is: its sizes, what it was trained for, and where its weights come from."""

import json
from pathlib import Path
from typing import Any

import torch

from genolm.models.auto import load
from genolm.models.backbone import GenolmModel
from genolm.models.configuration import GenolmConfig, maximum_length
from genolm.models.cost import count_cost
from genolm.models.families import FAMILIES, objective_of
from genolm.models.hub import find_folder
from genolm.models.presets import ALIASES, PRESETS, preset_options
from genolm.models.variant_effect import VariantEffectModel
from genolm.models.weights import find_weights, weights_digest


def describe_model(path_or_name: str | Path) -> dict[str, Any]:
    """Read a model and describe it.

    Args:
        path_or_name: A folder, a model that comes with genolm, or a hub id.

    Returns:
        Facts by name, fit for JSON.

    Raises:
        UsageError: As in `load`.
        InputError: As in `load`.
    """
    folder = find_folder(path_or_name)
    model, tokenizer = load(folder)
    weights = find_weights(folder)
    return {
        **_facts(model),
        "tokenizer": type(tokenizer).__name__,
        "folder": str(folder),
        "weights": weights.name,
        "bytes": weights.stat().st_size,
        "sha256": weights_digest(weights),
        "conversion": _conversion(folder),
    }


def describe_preset(name: str) -> dict[str, Any]:
    """Describe a published size, without making its weights.

    Args:
        name: Published or short name of the preset.

    Returns:
        Facts by name, fit for JSON.

    Raises:
        ValueError: If there is no such preset.
    """
    options = preset_options(name)
    family = FAMILIES[options.pop("family")]
    config = family.config(**options)
    model_class = next(iter(family.tasks.values()))
    with torch.device("meta"):
        model = model_class(config)
    published = ALIASES.get(name, name)
    shorts = [short for short, long in ALIASES.items() if long == published]
    return {"name": published, "short_names": sorted(shorts), **_facts(model)}


def describe_presets() -> list[dict[str, Any]]:
    """Describe every published size."""
    return [describe_preset(name) for name in PRESETS]


def _facts(model: GenolmModel) -> dict[str, Any]:
    config = model.config
    assert isinstance(config, GenolmConfig)
    buffers = sum(buffer.numel() for buffer in model.buffers())
    return {
        "family": config.model_type,
        "class": type(model).__name__,
        "task": _task(model),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "buffers": buffers,
        "d_model": config.d_model,
        "n_layer": config.n_layer,
        "mixer": config.mixer_config().name,
        "bidirectional": not config.causal,
        "reverse_complement_equivariant": bool(getattr(config, "rcps", False)),
        "vocab_size": config.vocab_size,
        "max_length": maximum_length(config),
        "training_length": config.training_length,
        "objective": config.objective,
        **_operations(model, config),
        "labels": _labels(model),
        "effect": _effect(config) if isinstance(model, VariantEffectModel) else None,
    }


def _operations(model: GenolmModel, config: GenolmConfig) -> dict[str, int]:
    """Count what a token costs at the length of training, or the longest one up to 1,024."""
    length = config.training_length or min(1024, maximum_length(config) or 1024)
    cost = count_cost(config, length, head=_task(model) in ("masked_lm", "causal_lm"))
    return {
        "forward_flops_per_token": round(cost.forward_flops),
        "training_flops_per_token": round(cost.training_flops),
    }


def _task(model: GenolmModel) -> str | None:
    try:
        return objective_of(model)
    except ValueError:  # a backbone alone
        return None


def _effect(config: GenolmConfig) -> str:
    width = config.effect_hidden
    head = "linear head" if width is None else f"head with a hidden layer of {width:,}"
    sign = "antisymmetric: exchanging REF and ALT changes the sign"
    return f"{head}, {sign}" if config.effect_antisymmetric else head


def _labels(model: GenolmModel) -> list[str] | None:
    if not hasattr(model, "score"):
        return None
    names = {int(key): str(name) for key, name in (model.config.id2label or {}).items()}
    return [names[key] for key in sorted(names)]


def _conversion(folder: Path) -> dict[str, Any] | None:
    path = folder / "conversion.json"
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
