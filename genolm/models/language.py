"""Language models on any family's backbone."""

from torch import Tensor
from transformers.modeling_outputs import CausalLMOutput, MaskedLMOutput

from genolm.models.backbone import Backbone, HeadModel, choose
from genolm.models.causal_cache import CausalCache
from genolm.objectives import IGNORED, before_causal_loss, causal_lm_loss, masked_lm_loss


class MaskedLanguageModel(HeadModel):
    """Predicts the tokens that were masked, from both sides, with a head named `lm_head`."""

    def forward(
        self,
        input_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        loss_weights: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        attention_mask: Tensor | None = None,
    ) -> MaskedLMOutput | tuple[Tensor, ...]:
        """Score every token at every position.

        Args:
            input_ids: Token ids (batch, length).
            inputs_embeds: Embedded sequences instead (batch, length, channels).
            labels: Token ids to predict (batch, length); -100 and padding do not count.
            loss_weights: Weights of the positions (batch, length).
            output_hidden_states: Whether to return hidden states.
            return_dict: Whether to return a ModelOutput, else a tuple.
            attention_mask: 1 where a token is real, 0 where it is padding (batch, length); without
                effect unless the config says `mask_padding`. If it does and None is given, the
                padding at the ends of each row of ids is left out. What is left out has no part
                in the loss.

        Returns:
            Loss if there are labels, logits (batch, length, vocab_size) and hidden states.
        """
        last, states, mask = self.run_base(
            input_ids, inputs_embeds, attention_mask, output_hidden_states
        )
        logits: Tensor = self.lm_head(last)
        loss = None
        if labels is not None:
            labels = labels if mask is None else labels.masked_fill(~mask, IGNORED)
            pad = self.config.pad_token_id
            loss = masked_lm_loss(logits, labels, pad_token_id=pad, weights=loss_weights)
        output = MaskedLMOutput(loss=loss, logits=logits, hidden_states=states)
        return output if choose(return_dict, self.config.return_dict) else output.to_tuple()


class CausalLanguageModel(HeadModel):
    """Predicts every token from those before it, with a head named `lm_head`."""

    def forward(
        self,
        input_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        loss_weights: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        attention_mask: Tensor | None = None,
    ) -> CausalLMOutput | tuple[Tensor, ...]:
        """Score every token as the successor of every position.

        Args:
            input_ids: Token ids (batch, length).
            inputs_embeds: Embedded sequences instead (batch, length, channels).
            labels: The ids themselves, not shifted (batch, length); -100 does not count, and
                padding does, as in the original, unless it is left out.
            loss_weights: Weights of the positions as targets, not shifted (batch, length).
            output_hidden_states: Whether to return hidden states.
            return_dict: Whether to return a ModelOutput, else a tuple.
            attention_mask: 1 where a token is real, 0 where it is padding (batch, length); without
                effect unless the config says `mask_padding`. If it does and None is given, the
                padding at the ends of each row of ids is left out. What is left out is neither
                predicted nor predicts anything.

        Returns:
            Loss if there are labels, logits (batch, length, vocab_size) and hidden states.
        """
        last, states, mask = self.run_base(
            input_ids, inputs_embeds, attention_mask, output_hidden_states
        )
        logits: Tensor = self.lm_head(last)
        loss = None
        if labels is not None:
            labels = labels if mask is None else before_causal_loss(labels, mask)
            loss = causal_lm_loss(logits, labels, weights=loss_weights)
        output = CausalLMOutput(loss=loss, logits=logits, hidden_states=states)
        return output if choose(return_dict, self.config.return_dict) else output.to_tuple()

    @property
    def resumable(self) -> bool:
        """Whether `remember` and `resume` can be called: of a plain Mamba, not of HyenaDNA."""
        return self._backbone.resumable

    def remember(self, input_ids: Tensor, cache: CausalCache | None = None) -> CausalCache:
        """Read token ids (batch, length) for what comes after them; arguments as in `resume`."""
        return self._backbone.resume(input_ids, cache)[1]

    def resume(
        self, input_ids: Tensor, cache: CausalCache | None = None
    ) -> tuple[Tensor, CausalCache]:
        """Do what `forward` does for the rest of sequences whose beginning was read before.

        Args:
            input_ids: The token ids that follow (batch, length); every one counts, padding too.
            cache: What is remembered of those before; None for nothing.

        Returns:
            Logits (batch, length, vocab_size), and what is remembered after the last id.
        """
        normed, cache = self._backbone.resume(input_ids, cache)
        logits: Tensor = self.lm_head(normed)
        return logits, cache

    @property
    def _backbone(self) -> Backbone:
        backbone = self.base_model.backbone
        assert isinstance(backbone, Backbone)
        return backbone
