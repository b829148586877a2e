"""What all families' models share: initial values of their tensors, and blocks run in a row."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init

from genolm.models.configuration import GenolmConfig
from genolm.modules.initial import HasInitialValues
from genolm.modules.linear import Linear


class GenolmModel(PreTrainedModel):
    """A Hugging Face model whose tensors are all accounted for when a file lacks them."""

    config_class = GenolmConfig
    supports_gradient_checkpointing = True
    _keep_in_fp32_modules_strict = {  # noqa: RUF012  the base class's own declaration
        "A_log",
        "D",
        "dt_bias",
        "dt_proj.bias",
        "filter_fn",
        "init_states",
    }
    # Files of other writers repeat shared tensors under each of their names.
    _keys_to_ignore_on_load_unexpected = [  # noqa: RUF012  the base class's own declaration
        r"implicit_filter\.([3579]|\d\d)\.freq$",
        r"mamba_rev\.(in|out)_proj\.(weight|bias)$",
    ]

    def finish(self) -> None:
        """Give weights their first values and share what is shared; the last act of `__init__`."""
        self.post_init()  # type: ignore[no-untyped-call]  # transformers' own

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Give the tensors that no file held their first values.

        Writing goes through `transformers.initialization`, which leaves loaded tensors alone.
        """
        if isinstance(module, HasInitialValues):
            for name, value in module.initial_values().items():
                init.copy_(getattr(module, name), value)
        elif isinstance(module, Linear):
            self._init_linear(module)
        elif isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=self.embedding_range)
        elif isinstance(module, nn.LayerNorm | nn.RMSNorm):
            init.ones_(module.weight)
            if isinstance(module, nn.LayerNorm):
                init.zeros_(module.bias)

    def tie_weights(
        self, missing_keys: set[str] | None = None, recompute_mapping: bool = True
    ) -> None:
        """Share the weights that the config says are shared.

        Args:
            missing_keys: Tensors that a file lacked, when called while loading one.
            recompute_mapping: Whether to ask the config anew.
        """
        if missing_keys is not None:
            # Files that hold a shared weight under both names share it too: older transformers
            # would take the second copy for a weight of its own.
            for target, source in self.all_tied_weights_keys.items():
                if not {target, source} & missing_keys and self._equal(target, source):
                    missing_keys.add(target)
        super().tie_weights(missing_keys, recompute_mapping)

    def _equal(self, first: str, second: str) -> bool:
        return bool(self.get_parameter(first).equal(self.get_parameter(second)))

    @property
    def embedding_range(self) -> float:
        """Standard deviation of fresh embeddings."""
        raise NotImplementedError

    def _init_linear(self, module: Linear) -> None:
        raise NotImplementedError


class Backbone(nn.Module):
    """Blocks run one after another; recomputed in the backward pass on request."""

    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(blocks)
        self.gradient_checkpointing = False

    def run(self, block: nn.Module, *inputs: Tensor | bool | None) -> Any:
        """Run one block, keeping only its inputs for the backward pass if so asked."""
        if self.gradient_checkpointing and self.training:
            return self._gradient_checkpointing_func(block.__call__, *inputs)
        return block(*inputs)

    def _gradient_checkpointing_func(self, *inputs: Any) -> Any:
        # Replaced by transformers when checkpointing is switched on.
        raise NotImplementedError


class Embeddings(nn.Module):
    """The place where checkpoints keep the embedding.

    Args:
        word_embeddings: Token ids (batch, length) to states.
    """

    def __init__(self, word_embeddings: nn.Module) -> None:
        super().__init__()
        self.word_embeddings = word_embeddings

    def forward(self, input_ids: Tensor) -> Tensor:
        """Embed token ids (batch, length)."""
        states: Tensor = self.word_embeddings(input_ids)
        return states


def check_inputs(input_ids: Tensor | None, inputs_embeds: Tensor | None) -> None:
    """Refuse anything but exactly one of ids (batch, length) and embeddings.

    Raises:
        ValueError: If both or neither are given, or the ids have another shape.
    """
    if (input_ids is None) == (inputs_embeds is None):
        raise ValueError("give either input_ids or inputs_embeds")
    if input_ids is not None and input_ids.dim() != 2:
        raise ValueError(f"input_ids must be (batch, length), got {tuple(input_ids.shape)}")


def choose(given: bool | None, configured: bool | None) -> bool:
    """Take an argument of a forward pass, or else what the config says."""
    return bool(configured if given is None else given)
