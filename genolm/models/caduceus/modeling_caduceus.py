"""Caduceus (Schiff et al. 2024), with or without equivariance, and plain Mamba."""

import math

from torch import Tensor, nn
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutput

from genolm.heads.language import make_language_head
from genolm.mixers import Bidirectional, Unidirectional
from genolm.models.backbone import Backbone, Embeddings, GenolmModel, choose
from genolm.models.caduceus.configuration_caduceus import CaduceusConfig
from genolm.models.causal_cache import CausalCache, resumable, resume_blocks
from genolm.models.classification import SequenceClassifier
from genolm.models.language import CausalLanguageModel, MaskedLanguageModel
from genolm.models.padding import run_backbone
from genolm.models.token_classification import TokenClassifier
from genolm.modules.block import MixerBlock, add_and_normalise
from genolm.modules.linear import Linear
from genolm.modules.norm import make_norm
from genolm.modules.reverse_complement import (
    RCPSEmbedding,
    RCPSWrapper,
    join_strands,
    split_strands,
)


def make_block(config: CaduceusConfig) -> MixerBlock:
    """Build one block of a Caduceus model."""
    mixer: nn.Module
    if config.bidirectional:
        mixer = Bidirectional(
            config.mixer_config(),
            config.d_model,
            merge=config.bidirectional_strategy or "add",
            tie=config.bidirectional_weight_tie,
        )
    else:
        mixer = Unidirectional(config.mixer_config(), config.d_model)
    if config.rcps:
        mixer = RCPSWrapper(mixer)
    return MixerBlock(mixer, make_final_norm(config))


def make_final_norm(config: CaduceusConfig) -> nn.Module:
    """Build a norm under the name that checkpoints give it."""
    norm = make_norm(config.d_model, config.norm_epsilon, rms=config.rms_norm)
    return RCPSWrapper(norm) if config.rcps and not config.fused_add_norm else norm


class CaduceusBackbone(Backbone):
    """Embedding, blocks and final norm; equivariant models run on stacked strands inside.

    Args:
        config: Options.
    """

    def __init__(self, config: CaduceusConfig) -> None:
        blocks = (make_block(config) for _ in range(config.n_layer))
        super().__init__(blocks, causal=config.causal)
        self.rcps = config.rcps
        self.exchanges = config.rcps and config.fused_add_norm
        # The fused original appends the normed states to its tuple, the other one does not.
        self.appends_last = config.fused_add_norm
        rows, channels = config.vocab_size, config.d_model
        self.embeddings = Embeddings(
            RCPSEmbedding(rows, channels, config.complement)
            if config.rcps
            else nn.Embedding(rows, channels)
        )
        self.norm_f = make_final_norm(config)

    def forward(
        self, input_ids: Tensor | None, inputs_embeds: Tensor | None, keep_states: bool
    ) -> tuple[Tensor, tuple[Tensor, ...] | None]:
        """Run the model.

        Args:
            input_ids: Token ids (batch, length).
            inputs_embeds: Embedded sequences instead (batch, length, channels).
            keep_states: Whether to collect what enters each block.

        Returns:
            Normed states (batch, length, channels), and the collected states or None; channels are
            2 d_model in equivariant models.
        """
        hidden = self._embed(input_ids, inputs_embeds)
        residual = None
        mirrored = False
        states = []
        for block in self.layers:
            if keep_states:
                states.append(self._publish(hidden, mirrored))
            mirrored ^= self.exchanges
            hidden, residual = self.run(block, hidden, residual, mirrored)
        normed, _ = add_and_normalise(self.norm_f, hidden, residual, mirrored=mirrored)
        last = self._publish(normed, mirrored)
        if not keep_states:
            return last, None
        return last, (*states, last) if self.appends_last else tuple(states)

    @property
    def resumable(self) -> bool:
        """Whether `resume` can be called: of a plain Mamba."""
        return not self.rcps and resumable(self.layers)

    def resume(self, input_ids: Tensor, cache: CausalCache | None) -> tuple[Tensor, CausalCache]:
        """Read on where the cache ends: normed states of ids (batch, length), and a new cache."""
        hidden = self._embed(input_ids, None)
        hidden, residual, cache = resume_blocks(self.layers, hidden, cache)
        return add_and_normalise(self.norm_f, hidden, residual)[0], cache

    def _embed(self, input_ids: Tensor | None, inputs_embeds: Tensor | None) -> Tensor:
        if inputs_embeds is None:
            hidden: Tensor = self.embeddings(input_ids)
            return hidden
        return split_strands(inputs_embeds) if self.rcps else inputs_embeds

    def _publish(self, hidden: Tensor, mirrored: bool) -> Tensor:
        return join_strands(hidden, mirrored=mirrored) if self.rcps else hidden


class CaduceusModel(GenolmModel):
    """What every Caduceus class shares: its config and how fresh weights are drawn."""

    config_class = CaduceusConfig
    base_model_prefix = "caduceus"

    @property
    def embedding_range(self) -> float:
        """Standard deviation of fresh embeddings."""
        deviation: float = self.config.initializer["initializer_range"]
        return deviation

    def _init_linear(self, module: Linear) -> None:
        """Torch's own law for linear layers, without biases; smaller into the residual stream."""
        bound = 1 / math.sqrt(module.in_features)
        initializer = self.config.initializer
        if module.writes_residual and initializer["rescale_prenorm_residual"]:
            bound /= math.sqrt(initializer["n_residuals_per_layer"] * self.config.n_layer)
        init.uniform_(module.weight, -bound, bound)
        if module.bias is not None:
            init.zeros_(module.bias)


class Caduceus(CaduceusModel):
    """The backbone alone: token ids to hidden states.

    Args:
        config: Options.
    """

    def __init__(self, config: CaduceusConfig) -> None:
        super().__init__(config)
        self.backbone = CaduceusBackbone(config)
        self.finish()

    def get_input_embeddings(self) -> nn.Module:
        """The embedding table."""
        words = self.backbone.embeddings.word_embeddings
        return words.embedding if isinstance(words, RCPSEmbedding) else words

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the embedding table."""
        embeddings = self.backbone.embeddings
        if isinstance(embeddings.word_embeddings, RCPSEmbedding):
            embeddings.word_embeddings.embedding = value
        else:
            embeddings.word_embeddings = value

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
            input_ids: Token ids (batch, length).
            inputs_embeds: Embedded sequences instead (batch, length, channels).
            output_hidden_states: Whether to return what enters each block, and in models with
                fused_add_norm the final normed states after it.
            return_dict: Whether to return a ModelOutput, else a tuple.
            attention_mask: 1 where a token is real, 0 where it is padding (batch, length); without
                effect unless the config says `mask_padding`. If it does and None is given, the
                padding at the ends of each row of ids is left out.

        Returns:
            Final normed states (batch, length, channels) and the hidden states on request;
            channels are d_model, or 2 d_model in equivariant models. What is left out has zeros.
        """
        mask = self.find_real(input_ids, inputs_embeds, attention_mask)
        keep = choose(output_hidden_states, self.config.output_hidden_states)
        last, states = run_backbone(self.backbone, input_ids, inputs_embeds, keep, mask)
        output = BaseModelOutput(last_hidden_state=last, hidden_states=states)
        return output if choose(return_dict, self.config.return_dict) else output.to_tuple()


class CaduceusForLanguage(CaduceusModel):
    """Backbone and language head, which share the embedding's weight."""

    def __init__(self, config: CaduceusConfig) -> None:
        super().__init__(config)
        self.caduceus = Caduceus(config)
        complement = config.complement if config.rcps else None
        self.lm_head = make_language_head(config.d_model, config.vocab_size, complement)
        words = "caduceus.backbone.embeddings.word_embeddings"
        self._tied_weights_keys = (
            {"lm_head.lm_head.weight": f"{words}.embedding.weight"}
            if config.rcps
            else {"lm_head.weight": f"{words}.weight"}
        )

    def get_output_embeddings(self) -> nn.Module:
        """The layer whose weight the embedding shares."""
        layer: nn.Module = self.lm_head.lm_head if self.config.rcps else self.lm_head
        return layer

    def set_output_embeddings(self, value: nn.Module) -> None:
        """Replace that layer."""
        if self.config.rcps:
            self.lm_head.lm_head = value
        else:
            self.lm_head = value


class CaduceusForMaskedLM(CaduceusForLanguage, MaskedLanguageModel):
    """Caduceus, or plain Mamba, with a language head, for filling in masked bases.

    Args:
        config: Options.
    """

    def __init__(self, config: CaduceusConfig) -> None:
        super().__init__(config)
        config.objective = "masked_lm"
        self.finish()


class CaduceusForCausalLM(CaduceusForLanguage, CausalLanguageModel):
    """Plain Mamba with a language head, for predicting the next base.

    Args:
        config: Options, with `bidirectional: false` and `rcps: false`.
    """

    def __init__(self, config: CaduceusConfig) -> None:
        mixer = config.mixer_config()
        if not mixer.causal:
            raise ValueError(
                f"mixer {mixer.name!r} sees later bases, and a causal language model may not: "
                "use masked_lm, or another mixer"
            )
        if not config.causal:
            raise ValueError(
                "a causal language model may not see later bases: set bidirectional: false and "
                f"rcps: false (now {config.bidirectional} and {config.rcps}), or use masked_lm"
            )
        super().__init__(config)
        config.objective = "causal_lm"
        self.finish()


class CaduceusForSequenceClassification(CaduceusModel, SequenceClassifier):
    """Caduceus with a classification or regression head.

    Args:
        config: Options.
    """

    def __init__(self, config: CaduceusConfig) -> None:
        super().__init__(config)
        self.caduceus = Caduceus(config)
        self.finish()


class CaduceusForTokenClassification(CaduceusModel, TokenClassifier):
    """Caduceus with a classification or regression head for every base.

    Args:
        config: Options.
    """

    def __init__(self, config: CaduceusConfig) -> None:
        super().__init__(config)
        self.caduceus = Caduceus(config)
        self.finish()
