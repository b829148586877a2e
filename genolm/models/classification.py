"""Sequence classification on any family's backbone."""

import torch
from torch import Tensor, nn
from transformers import initialization as init
from transformers.modeling_outputs import SequenceClassifierOutput

from genolm.heads.kmers import KmerTerm
from genolm.heads.pooling import before_first_pad, pool, segment_means, take_position
from genolm.heads.sequence import (
    score_strands,
    side_by_side,
    stack_conjoined,
    with_other_strand,
)
from genolm.models.backbone import HeadModel, choose
from genolm.models.configuration import GenolmConfig
from genolm.modules.linear import Linear
from genolm.modules.reverse_complement import split_strands
from genolm.objectives import classification_loss


class FineTuned(HeadModel):
    """A backbone and a head of labels, under the name `score`, that can be drawn anew."""

    def __init__(self, config: GenolmConfig) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels or 2

    @property
    def conjoins(self) -> bool:
        """Whether the next forward pass expects both strands, (batch, length, 2)."""
        config = self.config
        eval_only = config.conjoin_eval and not self.training
        return not config.rcps and (config.conjoin_train or eval_only)

    def draw_head(self) -> None:
        """Give the head new weights, whatever it had."""
        raise NotImplementedError


class Classifier(FineTuned):
    """The head is one linear layer without bias.

    An equivariant backbone reads both strands by itself, and the scores of the strands are
    averaged, unless the head is to tell the strands apart (`oriented_head`). Others do so
    (`conjoin_train`, `conjoin_eval`) when they are given both strands.
    """

    def __init__(self, config: GenolmConfig) -> None:
        super().__init__(config)
        self.score = Linear(self.channels, self.num_labels, bias=False, full_precision=True)

    @property
    def channels(self) -> int:
        """What the head reads of a sequence, or of a position."""
        return (2 if self.config.oriented_head else 1) * int(self.config.d_model)

    @torch.no_grad()
    def draw_head(self) -> None:
        """Give the head new weights, whatever it had."""
        self.score.weight.normal_(std=self.embedding_range)

    def stack_strands(
        self, input_ids: Tensor | None, attention_mask: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """Turn ids and mask (batch, length, 2) into (2 batch, length) under conjoining.

        Raises:
            ValueError: If ids, or the mask, are of another shape than this model reads now.
        """
        conjoins = self.conjoins
        stacked: list[Tensor | None] = []
        for name, given in (("input_ids", input_ids), ("attention_mask", attention_mask)):
            if given is not None and (name == "input_ids" or input_ids is not None):
                self._check_strands(name, given, conjoins)
                given = stack_conjoined(given) if conjoins else given
            stacked.append(given)
        return stacked[0], stacked[1]

    def forward_strand(self, states: tuple[Tensor, ...] | None) -> tuple[Tensor, ...] | None:
        """Take the forward strand's hidden states, all of them unless conjoining."""
        if states is None or not self.conjoins:
            return states
        return tuple(state.chunk(2)[0] for state in states)

    def _check_strands(self, name: str, given: Tensor, conjoins: bool) -> None:
        shape = tuple(given.shape)
        if conjoins and (len(shape) != 3 or shape[-1] != 2):
            flag = "conjoin_train" if self.config.conjoin_train else "conjoin_eval"
            raise ValueError(
                f"{flag} is set: {name} must hold both strands, (batch, length, 2), not {shape}"
            )
        if not conjoins and len(shape) != 2:
            raise ValueError(
                f"{name} must be (batch, length), got {shape}; both strands are read when "
                "conjoin_train or conjoin_eval is set on a model that is not equivariant"
            )

    def _init_weights(self, module: nn.Module) -> None:
        if module is self.score:
            init.normal_(self.score.weight, std=self.embedding_range)
        else:
            super()._init_weights(module)


class SequenceClassifier(Classifier):
    """Pool the backbone's states and score what comes out, with or without a k-mer term."""

    def __init__(self, config: GenolmConfig) -> None:
        super().__init__(config)
        self.kmer_term = None
        if config.kmers:
            both = config.kmer_strands == 2
            self.kmer_term = KmerTerm(config.kmers, self.num_labels, both=both)

    @property
    def channels(self) -> int:
        """What the head reads of a sequence."""
        return super().channels * int(self.config.pool_segments)

    def count_strands(self, strands: int) -> None:
        """Let the k-mer term, if there is one, count the words of 1 strand or of 2."""
        self.config.kmer_strands = strands
        if self.kmer_term is not None:
            self.kmer_term.both = strands == 2

    def forward(
        self,
        input_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        attention_mask: Tensor | None = None,
    ) -> SequenceClassifierOutput | tuple[Tensor, ...]:
        """Predict from sequences.

        Args:
            input_ids: Token ids (batch, length); with conjoining also (batch, length, 2), the
                second of the last axis being the reverse complement, which is made if not given.
            inputs_embeds: Embedded sequences instead of ids (batch, length, channels); with
                conjoining (2 batch, length, channels), all forward strands first.
            labels: Class ids (batch,), or values (batch, num_labels).
            output_hidden_states: Whether to return the states between blocks.
            return_dict: Whether to return a ModelOutput, else a tuple.
            attention_mask: 1 where a token is real, 0 where it is padding, in the shape of the ids;
                without effect unless the config says `mask_padding`. If it does and None is given,
                the padding at the ends of each row of ids is left out. What is left out is not
                pooled.

        Returns:
            Loss if there are labels, logits (batch, num_labels), and the hidden states on request,
            those of the forward strand under conjoining.
        """
        input_ids, attention_mask = self._show_both(input_ids, attention_mask)
        composition = self._score_kmers(input_ids)
        input_ids, attention_mask = self.stack_strands(input_ids, attention_mask)
        last, states, mask = self.run_base(
            input_ids, inputs_embeds, attention_mask, output_hidden_states
        )
        pooled = self._pool(last, input_ids, mask)
        averages = self.conjoins or (self.config.rcps and not self.config.oriented_head)
        if self.config.oriented_head:
            pooled = side_by_side(pooled)
        logits = score_strands(pooled, self.score, both=averages)
        if composition is not None:
            logits = logits + composition
        loss = None
        if labels is not None:
            loss = classification_loss(logits, labels, self.config.problem_type)
        states = self.forward_strand(states)
        output = SequenceClassifierOutput(loss=loss, logits=logits, hidden_states=states)
        return output if choose(return_dict, self.config.return_dict) else output.to_tuple()

    def _show_both(
        self, input_ids: Tensor | None, attention_mask: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """Make the other strand where it is to be read and is not given."""
        if not self.conjoins or input_ids is None or input_ids.dim() != 2:
            return input_ids, attention_mask
        if attention_mask is not None and attention_mask.dim() == 2:
            attention_mask = attention_mask[..., None].expand(-1, -1, 2)
        return with_other_strand(input_ids), attention_mask

    def _score_kmers(self, input_ids: Tensor | None) -> Tensor | None:
        if self.kmer_term is None:
            return None
        if input_ids is None:
            raise ValueError("this classifier counts k-mers: it needs input_ids, not inputs_embeds")
        forward = input_ids if input_ids.dim() == 2 else input_ids[..., 0]
        logits: Tensor = self.kmer_term(forward)
        return logits

    def _pool(self, hidden: Tensor, input_ids: Tensor | None, mask: Tensor | None) -> Tensor:
        strategy = self.config.pooling_strategy
        if strategy == "before_pad":
            if mask is None and input_ids is not None:
                pad_token_id = self.config.pad_token_id
                return take_position(hidden, before_first_pad(input_ids, pad_token_id))
            strategy = "last"
        if self.config.rcps:
            hidden = split_strands(hidden)
            mask = None if mask is None else torch.cat([mask, mask.flip(1)])
        if (segments := self.config.pool_segments) > 1:
            return segment_means(hidden, segments, mask)
        return pool(hidden, strategy, mask)
