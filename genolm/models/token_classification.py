"""Token classification on any family's backbone: a prediction for every base."""

from torch import Tensor
from transformers.modeling_outputs import TokenClassifierOutput

from genolm.heads.token import average_strands, score_positions
from genolm.models.backbone import choose
from genolm.models.classification import Classifier
from genolm.models.padding import between_padding
from genolm.objectives import token_classification_loss


class TokenClassifier(Classifier):
    """Score the backbone's states at every position."""

    def forward(
        self,
        input_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        attention_mask: Tensor | None = None,
    ) -> TokenClassifierOutput | tuple[Tensor, ...]:
        """Predict for every token.

        Args:
            input_ids: Token ids (batch, length); with conjoining (batch, length, 2), the second of
                the last axis being the reverse complement, without special tokens.
            inputs_embeds: Embedded sequences instead of ids (batch, length, channels); with
                conjoining (2 batch, length, channels), all forward strands first.
            labels: Class ids (batch, length), or values (batch, length, num_labels), of the forward
                strand; -100 does not count.
            output_hidden_states: Whether to return the states between blocks.
            return_dict: Whether to return a ModelOutput, else a tuple.
            attention_mask: 1 where a token is real, 0 where it is padding, in the shape of the ids;
                without effect unless the config says `mask_padding`. If it does and None is given,
                the padding at the ends of each row of ids is left out. What is left out has zeros
                for logits, and no part in the loss.

        Returns:
            Loss if there are labels, logits (batch, length, num_labels) of the forward strand's
            positions, and the hidden states on request, those of the forward strand under
            conjoining.
        """
        input_ids, attention_mask = self.stack_strands(input_ids, attention_mask)
        last, states, mask = self.run_base(
            input_ids, inputs_embeds, attention_mask, output_hidden_states
        )
        logits = score_positions(last, self.score)
        if self.conjoins:
            logits = average_strands(logits, self._find_strands(logits, input_ids, mask))
            mask = None if mask is None else mask.chunk(2)[0]
        loss = None
        if labels is not None:
            loss = token_classification_loss(logits, labels, self.config.problem_type, mask)
        states = self.forward_strand(states)
        output = TokenClassifierOutput(loss=loss, logits=logits, hidden_states=states)
        return output if choose(return_dict, self.config.return_dict) else output.to_tuple()

    def _find_strands(
        self, logits: Tensor, input_ids: Tensor | None, mask: Tensor | None
    ) -> Tensor:
        """Where the two strands stand, which may be padded on different sides."""
        if mask is not None:
            return mask
        if input_ids is None:
            return logits.new_ones(logits.shape[:2]).bool()
        return between_padding(input_ids, self.config.pad_token_id)
