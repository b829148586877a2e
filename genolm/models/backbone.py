"""What all families' models share: initial values of their tensors, and blocks run in a row."""

import copy
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutput

from genolm.models.causal_cache import CausalCache
from genolm.models.configuration import GenolmConfig
from genolm.models.padding import real_positions
from genolm.modules.alignment import align
from genolm.modules.initial import HasInitialValues
from genolm.modules.linear import Linear
from genolm.modules.reverse_complement import Complementing


class GenolmModel(PreTrainedModel):
    """A Hugging Face model whose tensors are all accounted for when a file lacks them."""

    config_class = GenolmConfig
    supports_gradient_checkpointing = True
    _keep_in_fp32_modules_strict = {  # noqa: RUF012  the base class's own declaration
        "A_log",
        "D$",  # a pattern: other names hold the letter
        "dt_bias",
        "dt_proj.bias",
        "filter_fn",
        "init_states",
        "kmer_term",
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
        elif isinstance(module, nn.Linear):  # a language head that transformers makes to resize it
            init.normal_(module.weight, std=self.embedding_range)

    def resize_token_embeddings(
        self,
        new_num_tokens: int | None = None,
        pad_to_multiple_of: int | None = None,
        mean_resizing: bool = True,
    ) -> nn.Embedding:
        """Add tokens behind the last one, or drop the last ones.

        Tokens that are added are their own complement.

        Args:
            new_num_tokens: Number of tokens; None leaves it as it is. The table's rows are this
                number rounded up to a multiple of the config's pad_vocab_size_multiple.
            pad_to_multiple_of: Another number that is to divide the number of rows.
            mean_resizing: Whether to draw new rows around the mean of the old ones, instead of as
                in a fresh model.

        Returns:
            The embedding table.

        Raises:
            ValueError: If a token would lose its complement; nothing is changed then.
        """
        config = copy.deepcopy(self.config)
        assert isinstance(config, GenolmConfig)
        config.vocab_size = config.vocab_size if new_num_tokens is None else new_num_tokens
        config.pad_vocab_size_multiple = math.lcm(
            config.pad_vocab_size_multiple, pad_to_multiple_of or 1
        )
        config.resolve()
        config.check()
        model: Any = self  # transformers' own methods are typed in part
        rows, head = config.padded_vocab_size, model.get_output_embeddings()
        words: nn.Embedding = super().resize_token_embeddings(rows, None, mean_resizing)
        resized = model.get_output_embeddings()
        if resized is not head:
            # A layer of torch's own came in its place; ours also knows its precision.
            head.weight = resized.weight
            model.set_output_embeddings(head)
        if head is not None:  # a tied head's number is left as it was by transformers 5.3
            head.out_features = rows
        for name in config.kinds():
            setattr(self.config, name, getattr(config, name))
        for module in self.modules():
            if isinstance(module, Complementing):
                module.resize_vocabulary(rows)
        return words

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
        if missing_keys is not None:
            align(self)

    def _equal(self, first: str, second: str) -> bool:
        return bool(self.get_parameter(first).equal(self.get_parameter(second)))

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights, but for those that are never narrower than float32."""
        weight = self.get_input_embeddings().weight
        assert isinstance(weight, Tensor)
        return weight.dtype

    def find_real(
        self,
        input_ids: Tensor | None,
        inputs_embeds: Tensor | None,
        attention_mask: Tensor | None,
    ) -> Tensor | None:
        """Check the inputs of a forward pass, and find which of their positions count.

        Args:
            input_ids: Token ids (batch, length).
            inputs_embeds: Embedded sequences instead (batch, length, channels).
            attention_mask: Which tokens are real (batch, length).

        Returns:
            The positions that are computed (batch, length); None for all of them.
        """
        check_inputs(input_ids, inputs_embeds)
        assert isinstance(self.config, GenolmConfig)
        return real_positions(self.config, input_ids, inputs_embeds, attention_mask)

    @property
    def embedding_range(self) -> float:
        """Standard deviation of fresh embeddings."""
        raise NotImplementedError

    def _init_linear(self, module: Linear) -> None:
        raise NotImplementedError


class Backbone(nn.Module):
    """Blocks run one after another; recomputed in the backward pass on request.

    Args:
        blocks: The blocks.
        causal: Whether no position sees a later one in any of them.
    """

    def __init__(self, blocks: Iterable[nn.Module], *, causal: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(blocks)
        self.causal = causal
        self.gradient_checkpointing = False

    def run(self, block: nn.Module, *inputs: Tensor | bool | None) -> Any:
        """Run one block, keeping only its inputs for the backward pass if so asked."""
        if self.gradient_checkpointing and self.training:
            return self._gradient_checkpointing_func(block.__call__, *inputs)
        return block(*inputs)

    @property
    def resumable(self) -> bool:
        """Whether what was read can be remembered in constant memory, for `resume`."""
        return False

    def resume(self, input_ids: Tensor, cache: CausalCache | None) -> tuple[Tensor, CausalCache]:
        """Read on where a cache ends; only where the backbone is `resumable`.

        Args:
            input_ids: The token ids that follow (batch, length).
            cache: What is remembered of those before; None for nothing.

        Returns:
            Normed states (batch, length, channels), and what is remembered after them.
        """
        raise NotImplementedError

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


class HeadModel(GenolmModel):
    """A model with a head, on a backbone that transformers finds by its prefix."""

    def run_base(
        self,
        input_ids: Tensor | None,
        inputs_embeds: Tensor | None,
        attention_mask: Tensor | None,
        output_hidden_states: bool | None,
    ) -> tuple[Tensor, tuple[Tensor, ...] | None, Tensor | None]:
        """Run the backbone.

        Args:
            input_ids: Token ids (batch, length).
            inputs_embeds: Embedded sequences instead (batch, length, channels).
            attention_mask: Which tokens are real (batch, length).
            output_hidden_states: Whether to return the states between blocks.

        Returns:
            The final states (batch, length, channels), the states between blocks or None, and the
            positions that count (batch, length) or None for all.
        """
        mask = self.find_real(input_ids, inputs_embeds, attention_mask)
        outputs: BaseModelOutput = self.base_model(
            input_ids=input_ids,
            inputs_embeds=inputs_embeds,
            attention_mask=mask,
            output_hidden_states=output_hidden_states,
            return_dict=True,
        )
        last = outputs.last_hidden_state
        assert last is not None
        return last, outputs.hidden_states, mask


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
