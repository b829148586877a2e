"""Any published layout of either family into a model of genolm, with an account of every tensor."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genolm.errors import InputError, UsageError
from genolm.models.backbone import GenolmModel
from genolm.models.caduceus import convert_caduceus
from genolm.models.checkpoint import HEAD, Filled, fill
from genolm.models.configuration import GenolmConfig
from genolm.models.families import FAMILIES, Family
from genolm.models.hub import find_original
from genolm.models.hyenadna import convert_hyenadna
from genolm.models.language import MaskedLanguageModel
from genolm.models.weights import find_weights, read_weights

CONFIGS = ("config.json", "model_config.json")
# What a file must say, since a default would silently make another model of its weights.
REQUIRED = {"caduceus": ("d_model", "n_layer"), "hyenadna": ("d_model", "n_layer", "max_seq_len")}
SHOWN = 3  # names of each kind
CADUCEUS_KEYS = frozenset({"ssm_cfg", "rcps", "bidirectional", "rms_norm"})


@dataclass(frozen=True)
class Conversion:
    """A converted model, and what became of every tensor.

    Attributes:
        model: The model, in evaluation mode.
        weights: The file that its tensors come from.
        config: The file that its options come from.
        renamed: How many tensors have another name in the file.
        ignored: Names in the file that are no part of the model: metrics, decoders, second names.
        filled: What became of the model's own tensors.
    """

    model: GenolmModel
    weights: Path
    config: Path
    renamed: int
    ignored: tuple[str, ...]
    filled: Filled

    def lines(self, *, every: bool = False) -> list[str]:
        """The account, for people.

        Args:
            every: Whether to name every tensor, else the first of each kind.

        Returns:
            Lines of text.
        """
        model, filled = self.model, self.filled
        count = sum(parameter.numel() for parameter in model.parameters())
        shown = None if every else SHOWN
        return [
            f"{type(model).__name__}, {count:,} parameters",
            f"{len(filled.mapped)} tensors mapped, {self.renamed} of them under another name",
            _row(filled.shared, "shared: another name of a tensor that is mapped", shown),
            _row(filled.derived, "derived from the config, since the file lacks them", shown),
            _row(self.ignored, "ignored: metrics, other heads, second names", shown),
            _row(filled.initialised, "initialised anew, since the file lacks them", shown),
        ]


def _row(names: tuple[str, ...], meaning: str, shown: int | None) -> str:
    if not names:
        return f"0 {meaning}"
    listed = names[:shown]
    more = f" and {len(names) - len(listed)} more" if len(listed) < len(names) else ""
    return f"{len(names)} {meaning}: {', '.join(listed)}{more}"


def convert(source: str | Path, config: str | Path | None = None, *, seed: int = 0) -> Conversion:
    """Read a published or original checkpoint of either family; no code of it is run.

    Args:
        source: A Hugging Face folder (safetensors, sharded or not, or .bin), an original HyenaDNA
            folder (weights.ckpt), a Lightning checkpoint of either family, or a hub id.
        config: The JSON file with the model's options; None looks beside the weights.
        seed: A head that the file lacks is a function of it.

    Returns:
        The model and the account of its tensors.

    Raises:
        UsageError: If a file is missing or not recognised.
        InputError: If a file is damaged, asks for code to be run, or does not fit the config.
    """
    place = find_original(source)
    weights = find_weights(place) if place.is_dir() else place
    path = Path(config) if config is not None else _find_config(weights)
    options = _read_options(path)
    family_name = _family_of(options, path)
    tensors = read_weights(weights)
    try:
        options, named = _translate(family_name, options, tensors, weights)
    except InputError as error:
        raise InputError(f"{path} and {weights.name}: {error}") from error
    if not named:
        raise InputError(f"{weights} holds no tensors of a {family_name} model")
    model = _build(FAMILIES[family_name], options, named, path, seed)
    kept = _name_for(model, _drop_tied(model, named))
    filled = fill(model, kept, weights)
    ignored = _ignored(tensors, kept)
    renamed = len([key for key in kept if key not in tensors])
    return Conversion(model, weights, path, renamed, ignored, filled)


def _translate(
    family_name: str, options: dict[str, Any], tensors: Mapping[str, Tensor], weights: Path
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Options and tensors under genolm's names."""
    if family_name == "hyenadna":
        named = convert_hyenadna.convert_tensors(tensors, weights)
        options = convert_hyenadna.complete_options(options, named)
    else:
        both = options.get("bidirectional", True)
        tied = bool(both and options.get("bidirectional_weight_tie", True))
        named = convert_caduceus.convert_tensors(tensors, tied=tied)
    for name in REQUIRED[family_name]:
        if name not in options:
            raise InputError(f"the config has no {name}, which has no default for given weights")
    return options, named


def _find_config(weights: Path) -> Path:
    # Training runs keep checkpoints in a folder of their own, beside the config's.
    folders = (weights.parent, weights.parent.parent)
    places = [folder / name for folder in folders for name in CONFIGS]
    for path in places:
        if path.is_file():
            return path
    raise UsageError(
        f"no config.json beside {weights}: give the file with the model's options as --config"
    )


def _read_options(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UsageError(f"no config {path}")
    try:
        options = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no JSON: {error}") from error
    if not isinstance(options, dict):
        raise InputError(f"{path} is no JSON object")
    # Training code keeps a model's options under "config", beside the class to build.
    inner = options.get("config")
    if isinstance(inner, dict):
        options = {key: value for key, value in inner.items() if not key.startswith("_")}
    return options


def _family_of(options: Mapping[str, Any], path: Path) -> str:
    stated = options.get("model_type")
    if stated is not None:
        if stated not in FAMILIES:
            raise UsageError(
                f"{path} says model_type {stated!r}; genolm knows {', '.join(FAMILIES)}"
            )
        return str(stated)
    if "layer" in options:
        return "hyenadna"
    if CADUCEUS_KEYS & options.keys():
        return "caduceus"
    raise UsageError(
        f"{path} has neither model_type, nor HyenaDNA's layer, nor Caduceus's ssm_cfg: genolm does "
        "not know this kind of config"
    )


def _build(
    family: Family, options: dict[str, Any], named: Mapping[str, Tensor], path: Path, seed: int
) -> GenolmModel:
    try:
        config = family.config(**options)
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: {error}") from error
    model_class = _class_of(family, config, named)
    if "num_labels" not in options and "id2label" not in options and "score.weight" in named:
        config.num_labels = named["score.weight"].shape[0]
    config.architectures = [model_class.__name__]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return model_class(config)
        except ValueError as error:
            raise InputError(f"{path}: {error}") from error


def _class_of(
    family: Family, config: GenolmConfig, named: Mapping[str, Tensor]
) -> type[GenolmModel]:
    for architecture in config.architectures or []:
        stated = family.named(architecture)
        if stated is not None and issubclass(stated, MaskedLanguageModel) and config.causal:
            # Published under the only name that the original has for a language model.
            return family.for_task(config.objective or "masked_lm")
        if stated is not None:
            return stated
    if "score.weight" in named:
        return family.for_task("classification")
    if any(key.startswith("lm_head.") for key in named) or not config.architectures:
        return family.for_task("causal_lm" if config.causal else "masked_lm")
    return family.backbone


def _drop_tied(model: GenolmModel, named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leave out second names of shared weights, once they are seen to be equal."""
    kept = dict(named)
    for target, first in model.all_tied_weights_keys.items():
        second = kept.pop(target, None)
        if second is not None and first in kept and not second.equal(kept[first]):
            raise InputError(
                f"{target} differs from {first}, while tie_word_embeddings says that they are one "
                "tensor: set it to false in the config"
            )
    return kept


def _name_for(model: GenolmModel, named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leave out heads that the model does not have; one without a head has no prefix either."""
    own = model.state_dict().keys()
    heads = {key.partition(".")[0] for key in own if HEAD.match(key)}
    prefix = f"{model.base_model_prefix}."
    kept = {
        key: value
        for key, value in named.items()
        if key.startswith(prefix) or key.partition(".")[0] in heads
    }
    if any(key.startswith(prefix) for key in own):
        return kept
    return {key.removeprefix(prefix): value for key, value in kept.items()}


def _ignored(tensors: Mapping[str, Tensor], kept: Mapping[str, Tensor]) -> tuple[str, ...]:
    used = {id(value) for value in kept.values()}
    return tuple(sorted(key for key, value in tensors.items() if id(value) not in used))
