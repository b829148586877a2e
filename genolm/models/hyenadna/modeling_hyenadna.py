"""HyenaDNA (Nguyen et al. 2023): a causal model with long convolutions, one base per token."""

import math

from torch import Tensor, nn
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutput

from genolm.heads.language import make_language_head
from genolm.models.backbone import Backbone, Embeddings, GenolmModel, choose
from genolm.models.classification import SequenceClassifier
from genolm.models.configuration import maximum_length
from genolm.models.hyenadna.configuration_hyenadna import HyenaDNAConfig
from genolm.models.hyenadna.long_sequences import goes_in_place, run_in_place
from genolm.models.language import CausalLanguageModel
from genolm.models.padding import longest, run_backbone
from genolm.models.presets import PRESETS
from genolm.models.token_classification import TokenClassifier
from genolm.modules.block import MixerMLPBlock
from genolm.modules.linear import Linear
from genolm.modules.mlp import MLP
from genolm.modules.norm import LayerNorm
from genolm.modules.precision import at_least_float32

BLOCK_NORM_EPSILON = 1e-5


def make_block(config: HyenaDNAConfig) -> MixerMLPBlock:
    """Build one block of a HyenaDNA model."""
    channels = config.d_model
    norms = LayerNorm(channels, BLOCK_NORM_EPSILON), LayerNorm(channels, BLOCK_NORM_EPSILON)
    mlp = MLP(channels, config.d_inner or 4 * channels)
    return MixerMLPBlock(config.mixer_config().build(channels), mlp, norms)


class HyenaDNABackbone(Backbone):
    """Embedding, blocks and final norm.

    Args:
        config: Options.
    """

    def __init__(self, config: HyenaDNAConfig) -> None:
        blocks = (make_block(config) for _ in range(config.n_layer))
        super().__init__(blocks, causal=config.causal)
        self.embeddings = Embeddings(nn.Embedding(config.padded_vocab_size, config.d_model))
        self.ln_f = LayerNorm(config.d_model, config.layer_norm_epsilon)

    def forward(
        self, input_ids: Tensor | None, inputs_embeds: Tensor | None, keep_states: bool
    ) -> tuple[Tensor, tuple[Tensor, ...] | None]:
        """Run the model.

        Args:
            input_ids: Token ids (batch, length).
            inputs_embeds: Embedded sequences instead (batch, length, d_model).
            keep_states: Whether to collect the stream.

        Returns:
            Normed states (batch, length, d_model); and, collected or None, the embedding, the
            stream after each block and the normed states.
        """
        hidden = self.embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        stream = at_least_float32(hidden)
        if not keep_states and goes_in_place(self.layers, stream):
            return self._run_in_place(stream if stream is not inputs_embeds else stream.clone())
        states = [stream]
        for block in self.layers:
            stream = self.run(block, stream)
            if keep_states:
                states.append(stream)
        last = self.ln_f(stream)
        return last, (*states, last) if keep_states else None

    def _run_in_place(self, stream: Tensor) -> tuple[Tensor, None]:
        """Run the blocks on a stream of our own, one tensor from beginning to end."""
        for block in self.layers:
            run_in_place(block, stream)
        return self.ln_f(stream), None


class HyenaDNAPreTrained(GenolmModel):
    """What every HyenaDNA class shares: its config and how fresh weights are drawn."""

    config_class = HyenaDNAConfig
    base_model_prefix = "hyena"

    @property
    def embedding_range(self) -> float:
        """Standard deviation of fresh embeddings."""
        deviation: float = self.config.initializer_range
        return deviation

    def _init_linear(self, module: Linear) -> None:
        """Normal weights, smaller into the residual stream; no biases (GPT-2's law)."""
        deviation = self.embedding_range
        if module.writes_residual:
            deviation /= math.sqrt(2 * self.config.n_layer)
        init.normal_(module.weight, std=deviation)
        if module.bias is not None:
            init.zeros_(module.bias)


class HyenaDNAModel(HyenaDNAPreTrained):
    """The backbone alone: token ids to hidden states.

    Args:
        config: Options.
    """

    def __init__(self, config: HyenaDNAConfig) -> None:
        super().__init__(config)
        self.backbone = HyenaDNABackbone(config)
        self.max_length = maximum_length(config)
        self.finish()

    def get_input_embeddings(self) -> nn.Module:
        """The embedding table."""
        return self.backbone.embeddings.word_embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the embedding table."""
        self.backbone.embeddings.word_embeddings = value

    def forward(
        self,
        input_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        attention_mask: Tensor | None = None,
    ) -> BaseModelOutput | tuple[Tensor, ...]:
        """Compute hidden states.

        Args:
            input_ids: Token ids (batch, length), at most max_seq_len of them.
            inputs_embeds: Embedded sequences instead (batch, length, d_model).
            output_hidden_states: Whether to return the embedding, the residual stream after each
                block and the final normed states.
            return_dict: Whether to return a ModelOutput, else a tuple.
            attention_mask: 1 where a token is real, 0 where it is padding (batch, length); without
                effect unless the config says `mask_padding`. If it does and None is given, the
                padding at the ends of each row of ids is left out.

        Returns:
            Final normed states (batch, length, d_model) and the hidden states on request. What is
            left out has zeros, and does not count as length.

        Raises:
            ValueError: If a sequence is longer than the model's filters.
        """
        mask = self.find_real(input_ids, inputs_embeds, attention_mask)
        self._check_length(input_ids if inputs_embeds is None else inputs_embeds, mask)
        keep = choose(output_hidden_states, self.config.output_hidden_states)
        last, states = run_backbone(self.backbone, input_ids, inputs_embeds, keep, mask)
        output = BaseModelOutput(last_hidden_state=last, hidden_states=states)
        return output if choose(return_dict, self.config.return_dict) else output.to_tuple()

    def _check_length(self, inputs: Tensor | None, mask: Tensor | None) -> None:
        assert inputs is not None
        length = inputs.shape[1] if mask is None else longest(mask)
        if self.max_length is not None and length > self.max_length:
            raise ValueError(
                f"the sequence has {length} tokens, but this model was built for at most "
                f"{self.max_length} (max_seq_len, or l_max of the hyena mixer); "
                f"{name_fitting_preset(length)}"
            )


def name_fitting_preset(length: int) -> str:
    """Say which published model is the smallest that takes a sequence of so many tokens."""
    limits = {name: options.get("max_seq_len", 0) for name, options in PRESETS.items()}
    fitting = [name for name in limits if limits[name] >= length]
    if not fitting:
        return "no published HyenaDNA takes so many"
    return (
        f"the smallest published one that takes so many is {min(fitting, key=limits.__getitem__)}"
    )


class HyenaDNAForCausalLM(HyenaDNAPreTrained, CausalLanguageModel):
    """HyenaDNA with a language head, for predicting the next base.

    Args:
        config: Options.
    """

    def __init__(self, config: HyenaDNAConfig) -> None:
        if not config.causal:
            raise ValueError(
                f"mixer {config.mixer_config().name!r} sees later bases, and a causal language "
                "model may not"
            )
        super().__init__(config)
        self.hyena = HyenaDNAModel(config)
        self.lm_head = make_language_head(config.d_model, config.padded_vocab_size)
        words = "hyena.backbone.embeddings.word_embeddings.weight"
        self._tied_weights_keys = {"lm_head.weight": words}
        config.objective = "causal_lm"
        self.finish()

    def get_output_embeddings(self) -> nn.Module:
        """The language head."""
        head: nn.Module = self.lm_head
        return head

    def set_output_embeddings(self, value: nn.Module) -> None:
        """Replace the language head."""
        self.lm_head = value


class HyenaDNAForSequenceClassification(HyenaDNAPreTrained, SequenceClassifier):
    """HyenaDNA with a classification or regression head.

    Args:
        config: Options.
    """

    def __init__(self, config: HyenaDNAConfig) -> None:
        super().__init__(config)
        self.hyena = HyenaDNAModel(config)
        self.finish()


class HyenaDNAForTokenClassification(HyenaDNAPreTrained, TokenClassifier):
    """HyenaDNA with a classification or regression head for every base.

    Args:
        config: Options.
    """

    def __init__(self, config: HyenaDNAConfig) -> None:
        super().__init__(config)
        self.hyena = HyenaDNAModel(config)
        self.finish()
