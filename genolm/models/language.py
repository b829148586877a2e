"""Language models on any family's backbone."""

from torch import Tensor
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput, MaskedLMOutput

from genolm.models.backbone import GenolmModel, choose
from genolm.objectives import causal_lm_loss, masked_lm_loss


class LanguageModel(GenolmModel):
    """A backbone and a head that scores every token, under the name `lm_head`."""

    def score_tokens(
        self,
        input_ids: Tensor | None,
        inputs_embeds: Tensor | None,
        output_hidden_states: bool | None,
    ) -> tuple[Tensor, BaseModelOutput]:
        """Run backbone and head: logits (batch, length, vocab_size) and the backbone's output."""
        outputs: BaseModelOutput = self.base_model(
            input_ids=input_ids,
            inputs_embeds=inputs_embeds,
            output_hidden_states=output_hidden_states,
            return_dict=True,
        )
        return self.lm_head(outputs.last_hidden_state), outputs


class MaskedLanguageModel(LanguageModel):
    """Predicts the tokens that were masked, from both sides."""

    def forward(
        self,
        input_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        loss_weights: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> MaskedLMOutput | tuple[Tensor, ...]:
        """Score every token at every position.

        Args:
            input_ids: Token ids (batch, length).
            inputs_embeds: Embedded sequences instead (batch, length, channels).
            labels: Token ids to predict (batch, length); -100 and padding do not count.
            loss_weights: Weights of the positions (batch, length).
            output_hidden_states: Whether to return hidden states.
            return_dict: Whether to return a ModelOutput, else a tuple.

        Returns:
            Loss if there are labels, logits (batch, length, vocab_size) and hidden states.
        """
        logits, outputs = self.score_tokens(input_ids, inputs_embeds, output_hidden_states)
        loss = None
        if labels is not None:
            pad = self.config.pad_token_id
            loss = masked_lm_loss(logits, labels, pad_token_id=pad, weights=loss_weights)
        output = MaskedLMOutput(loss=loss, logits=logits, hidden_states=outputs.hidden_states)
        return output if choose(return_dict, self.config.return_dict) else output.to_tuple()


class CausalLanguageModel(LanguageModel):
    """Predicts every token from those before it."""

    def forward(
        self,
        input_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> CausalLMOutput | tuple[Tensor, ...]:
        """Score every token as the successor of every position.

        Args:
            input_ids: Token ids (batch, length).
            inputs_embeds: Embedded sequences instead (batch, length, channels).
            labels: The ids themselves, not shifted (batch, length); -100 does not count.
            output_hidden_states: Whether to return hidden states.
            return_dict: Whether to return a ModelOutput, else a tuple.

        Returns:
            Loss if there are labels, logits (batch, length, vocab_size) and hidden states.
        """
        logits, outputs = self.score_tokens(input_ids, inputs_embeds, output_hidden_states)
        loss = None if labels is None else causal_lm_loss(logits, labels)
        output = CausalLMOutput(loss=loss, logits=logits, hidden_states=outputs.hidden_states)
        return output if choose(return_dict, self.config.return_dict) else output.to_tuple()
