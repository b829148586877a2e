"""Sequence classification on any family's backbone."""

from torch import Tensor, nn
from transformers import initialization as init
from transformers.modeling_outputs import SequenceClassifierOutput

from genolm.heads.pooling import before_first_pad, pool, take_position
from genolm.heads.sequence import score_strands, stack_conjoined
from genolm.models.backbone import GenolmModel, choose
from genolm.models.configuration import GenolmConfig
from genolm.modules.linear import Linear
from genolm.modules.reverse_complement import split_strands
from genolm.objectives import classification_loss


class SequenceClassifier(GenolmModel):
    """Pool the backbone's states and score them with one linear layer without bias.

    An equivariant backbone reads both strands by itself, and the logits of the strands are
    averaged. Others do so (`conjoin_train`, `conjoin_eval`) when they are given both strands.
    """

    def __init__(self, config: GenolmConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels or 2
        self.score = Linear(config.d_model, self.num_labels, bias=False, full_precision=True)

    @property
    def conjoins(self) -> bool:
        """Whether the next forward pass expects both strands, (batch, length, 2)."""
        config = self.config
        eval_only = config.conjoin_eval and not self.training
        return not config.rcps and (config.conjoin_train or eval_only)

    def forward(
        self,
        input_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> SequenceClassifierOutput | tuple[Tensor, ...]:
        """Predict from sequences.

        Args:
            input_ids: Token ids (batch, length); with conjoining (batch, length, 2), the second of
                the last axis being the reverse complement.
            inputs_embeds: Embedded sequences instead of ids (batch, length, channels).
            labels: Class ids (batch,), or values (batch, num_labels).
            output_hidden_states: Whether to return the states between blocks.
            return_dict: Whether to return a ModelOutput, else a tuple.

        Returns:
            Loss if there are labels, logits (batch, num_labels), and the hidden states on request,
            those of the forward strand under conjoining.
        """
        conjoins = self.conjoins
        if input_ids is not None:
            self._check_strands(input_ids, conjoins)
            input_ids = stack_conjoined(input_ids) if conjoins else input_ids
        outputs = self.base_model(
            input_ids=input_ids,
            inputs_embeds=inputs_embeds,
            output_hidden_states=output_hidden_states,
            return_dict=True,
        )
        hidden = outputs.last_hidden_state
        if self.config.rcps:
            hidden = split_strands(hidden)
        pooled = self._pool(hidden, input_ids)
        logits = score_strands(pooled, self.score, both=self.config.rcps or conjoins)
        states = outputs.hidden_states
        if states is not None and conjoins:
            states = tuple(state.chunk(2)[0] for state in states)
        loss = None
        if labels is not None:
            loss = classification_loss(logits, labels, self.config.problem_type)
        output = SequenceClassifierOutput(loss=loss, logits=logits, hidden_states=states)
        return output if choose(return_dict, self.config.return_dict) else output.to_tuple()

    def _pool(self, hidden: Tensor, input_ids: Tensor | None) -> Tensor:
        strategy = self.config.pooling_strategy
        if strategy != "before_pad":
            return pool(hidden, strategy)
        if input_ids is None:
            return pool(hidden, "last")
        return take_position(hidden, before_first_pad(input_ids, self.config.pad_token_id))

    def _check_strands(self, input_ids: Tensor, conjoins: bool) -> None:
        shape = tuple(input_ids.shape)
        if conjoins and (len(shape) != 3 or shape[-1] != 2):
            flag = "conjoin_train" if self.config.conjoin_train else "conjoin_eval"
            raise ValueError(
                f"{flag} is set: input_ids must hold both strands, (batch, length, 2), not {shape}"
            )
        if not conjoins and len(shape) != 2:
            raise ValueError(
                f"input_ids must be (batch, length), got {shape}; both strands are read when "
                "conjoin_train or conjoin_eval is set on a model that is not equivariant"
            )

    def _init_weights(self, module: nn.Module) -> None:
        if module is self.score:
            init.normal_(self.score.weight, std=self.embedding_range)
        else:
            super()._init_weights(module)
