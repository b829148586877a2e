"""Registration with transformers' Auto classes, and `load`, the one way into any folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

from genolm.errors import InputError, UsageError
from genolm.models.backbone import GenolmModel
from genolm.models.build import LABEL_OPTIONS
from genolm.models.classification import FineTuned
from genolm.models.configuration import GenolmConfig, maximum_length
from genolm.models.families import FAMILIES, Family, Task, objective_of
from genolm.models.folder_errors import check_keys, read_object
from genolm.models.hub import find_folder
from genolm.models.language import CausalLanguageModel
from genolm.models.loading import quiet, read_model
from genolm.modules.linear import set_compute_dtype
from genolm.modules.options import read_number, reject_unknown
from genolm.tokenization import CaduceusTokenizer, DNATokenizer, HyenaDNATokenizer

__all__ = ["load", "maximum_length", "objective_of", "register"]

TOKENIZERS: dict[str, type[DNATokenizer]] = {
    "caduceus": CaduceusTokenizer,
    "hyenadna": HyenaDNATokenizer,
}
AUTO_CLASSES = {
    "masked_lm": AutoModelForMaskedLM,
    "causal_lm": AutoModelForCausalLM,
    "classification": AutoModelForSequenceClassification,
    "token_classification": AutoModelForTokenClassification,
}
DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def register() -> None:
    """Make transformers' Auto classes know every family; doing so twice is harmless."""
    for name, family in FAMILIES.items():
        AutoConfig.register(name, family.config, exist_ok=True)
        AutoModel.register(family.config, family.backbone, exist_ok=True)
        for task, model_class in family.tasks.items():
            if task in AUTO_CLASSES:
                AUTO_CLASSES[task].register(family.config, model_class, exist_ok=True)
        AutoTokenizer.register(family.config, tokenizer_class=TOKENIZERS[name], exist_ok=True)


def load(
    path_or_name: str | Path,
    *,
    task: Task | None = None,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
    dtype: str | torch.dtype | None = None,
) -> tuple[GenolmModel, DNATokenizer]:
    """Load a model and its tokenizer; no code of the folder is run.

    Args:
        path_or_name: A folder, or a model on the Hugging Face hub ("owner/name"), which is asked
            only if there is no such folder.
        task: What the model is to do; None is what the folder says. A model loaded for
            (token) classification or variant_effect that did something else before keeps its
            backbone and gets a fresh head.
        options: Config options to change, such as num_labels or pooling_strategy; numbers may be
            given as text.
        seed: A fresh head is a function of it.
        device: Where to put the model.
        dtype: float32 (the default) or float64 for everything; bfloat16 or float16 for the
            products of linear layers only, with weights, states and the residual in float32.

    Returns:
        The model, in evaluation mode, and its tokenizer.

    Raises:
        UsageError: If there is no such folder or model, it has no weights, or its family or task
            is not known here.
        InputError: If the folder's files are damaged, or do not belong together.
    """
    narrow = _parse_dtype(dtype)
    folder = find_folder(path_or_name)
    family = _read_family(folder)
    config = _read_config(folder, family, options or {})
    model_class = _choose_class(folder, config, family, task)
    wide = torch.float64 if narrow is torch.float64 else torch.float32
    fresh_head = _has_fresh_head(config, model_class, options or {})
    model = read_model(folder, model_class, config, wide, seed, fresh_head)
    if isinstance(model, FineTuned) and not _is_stated(config, model_class):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model.draw_head()  # the file may hold the head of another kind of classifier
    set_compute_dtype(model, None if narrow is wide else narrow)
    torch.nn.Module.to(model, torch.device(device))
    return model, _read_tokenizer(folder, config)


def _parse_dtype(dtype: str | torch.dtype | None) -> torch.dtype:
    if dtype is None:
        return torch.float32
    parsed = DTYPES.get(str(dtype).removeprefix("torch."))
    if parsed is None:
        raise UsageError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype}")
    return parsed


def _read_family(folder: Path) -> Family:
    path = folder / "config.json"
    content = read_object(path)
    model_type = content.get("model_type")
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise UsageError(
            f"{path} says model_type {model_type!r}; genolm knows {', '.join(FAMILIES)}"
        )
    check_keys(path, content)
    return FAMILIES[model_type]


def _read_config(folder: Path, family: Family, options: Mapping[str, Any]) -> GenolmConfig:
    try:
        config: GenolmConfig = family.config.from_pretrained(folder)
    except ValueError as error:
        raise InputError(f"{folder / 'config.json'}: {error}") from error
    kinds = family.config.kinds()
    reject_unknown(f"a {config.model_type} model", options, [*kinds, *LABEL_OPTIONS])
    for name, value in options.items():
        setattr(config, name, read_number(value, kinds.get(name)))
    config.check()
    return config


def _choose_class(
    folder: Path, config: GenolmConfig, family: Family, task: Task | None
) -> type[GenolmModel]:
    if task is not None:
        return _class_for_task(folder, config, family, task)
    stated = config.architectures or []
    if not stated:
        return next(iter(family.tasks.values()))
    model_class = family.named(stated[0])
    if model_class is None:
        known = [cls.__name__ for cls in (family.backbone, *family.tasks.values())]
        raise UsageError(
            f"{folder / 'config.json'} says architecture {stated[0]!r}; "
            f"genolm knows {', '.join(known)}"
        )
    return model_class


def _class_for_task(
    folder: Path, config: GenolmConfig, family: Family, task: Task
) -> type[GenolmModel]:
    try:
        model_class = family.for_task(task)
    except ValueError as error:
        raise UsageError(f"{folder}: {error}") from error
    if issubclass(model_class, CausalLanguageModel) and not config.causal:
        raise UsageError(f"{folder}: this model sees later bases, so it is no causal_lm")
    return model_class


def _has_fresh_head(
    config: GenolmConfig, model_class: type[GenolmModel], options: Mapping[str, Any]
) -> bool:
    if not issubclass(model_class, FineTuned):
        return False
    changed = bool({"num_labels", "id2label", "kmers"} & options.keys())
    return changed or not _is_stated(config, model_class)


def _is_stated(config: GenolmConfig, model_class: type[GenolmModel]) -> bool:
    return model_class.__name__ in (config.architectures or [])


def _read_tokenizer(folder: Path, config: GenolmConfig) -> DNATokenizer:
    tokenizer_class = TOKENIZERS[config.model_type]
    if (folder / "tokenizer_config.json").exists():
        read_object(folder / "tokenizer_config.json")
        with quiet():
            tokenizer: DNATokenizer = tokenizer_class.from_pretrained(
                folder, trust_remote_code=False, local_files_only=True
            )
    else:
        tokenizer = tokenizer_class(model_max_length=maximum_length(config))
    if config.vocab_size < tokenizer.vocab_size:
        raise UsageError(
            f"{folder}: a model of {config.vocab_size} tokens was trained with another tokenizer "
            f"than genolm's, which has {tokenizer.vocab_size}"
        )
    return tokenizer


register()
