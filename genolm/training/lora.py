"""Low-rank adapters (LoRA, Hu et al. 2021) through peft; what is published needs none of it.

The backbone's weights stay as they are, each linear layer of it learns a change of low rank, and
the head is trained in full. Before the model is judged on the test part and published, the changes
are added to the weights, so that the folder is an ordinary one.
"""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Final

import torch
from torch import nn
from transformers import PreTrainedModel

from genolm.errors import UsageError
from genolm.modules.linear import Linear
from genolm.training.recipe_methods import LoRASection

SCORE = "score."
LEFT_OUT: Final = re.compile(r"^score$|^score\.|\.implicit_filter\.")
"""The head, which is trained in full, and the networks of a few channels that make Hyena's filters,
whose spectra are kept between forward passes."""


def add_adapters(model: PreTrainedModel, section: LoRASection | None, seed: int) -> None:
    """Give the backbone's linear layers adapters to be trained, beside the head; none for None.

    Args:
        model: A classifier or regressor; changed in place.
        section: The recipe's.
        seed: Of the adapters' first weights.

    Raises:
        UsageError: When peft is not installed, or a target is no linear layer of the model.
    """
    if section is None:
        return
    if find_spec("peft") is None:
        raise UsageError("train.lora: peft is not installed: pip install 'genolm[lora]'")
    from peft import LoraConfig, inject_adapter_in_model

    from genolm.training.lora_linear import AdaptedLinear

    config = LoraConfig(
        r=section.rank,
        lora_alpha=section.alpha,
        lora_dropout=section.dropout,
        target_modules=list(_find_targets(model, section.targets)),
    )
    config._register_custom_module({Linear: AdaptedLinear})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inject_adapter_in_model(config, model)
    for name, parameter in model.named_parameters():
        if name.startswith(SCORE):
            parameter.requires_grad = True


def _find_targets(model: nn.Module, targets: tuple[str, ...] | None) -> Iterator[str]:
    """Yield the full names of the layers to adapt."""
    layers = [
        name
        for name, module in model.named_modules()
        if isinstance(module, Linear) and not LEFT_OUT.search(name)
    ]
    known = sorted({name.rpartition(".")[2] for name in layers})
    for target in targets or ():
        if target not in known:
            raise UsageError(f"train.lora.targets: no layer {target!r}; there are {known}")
    wanted = known if targets is None else targets
    yield from (name for name in layers if name.rpartition(".")[2] in wanted)


def merge_adapters(model: PreTrainedModel) -> None:
    """Add what adapters have learned to the weights and take them away, if there are any."""
    for name, module in list(model.named_modules()):
        if hasattr(module, "lora_A"):
            module.merge()
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, module.get_base_layer())
