"""Variant effects on any family's backbone: one encoder reads both alleles, the head compares."""

import torch
from torch import Tensor, nn
from transformers import initialization as init
from transformers.modeling_outputs import SequenceClassifierOutput

from genolm.heads.variant import Change, VariantHead, state_change
from genolm.models.backbone import choose
from genolm.models.classification import FineTuned
from genolm.models.configuration import GenolmConfig
from genolm.modules.reverse_complement import split_strands
from genolm.objectives import classification_loss


class VariantEffectModel(FineTuned):
    """A backbone that reads the windows of REF and ALT, and a head on what differs.

    An equivariant backbone reads both strands by itself; others do so under `conjoin_train` or
    `conjoin_eval`, when they are given both strands. The outputs of the strands are averaged.
    """

    def __init__(self, config: GenolmConfig) -> None:
        super().__init__(config)
        self.score = VariantHead(
            config.d_model,
            self.num_labels,
            hidden=config.effect_hidden,
            antisymmetric=config.effect_antisymmetric,
        )

    def forward(
        self,
        input_ids: Tensor,
        sites: Tensor,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
    ) -> SequenceClassifierOutput | tuple[Tensor, ...]:
        """Predict the effects of variants.

        Args:
            input_ids: Token ids of the REF and the ALT window (batch, 2, length); with conjoining
                (batch, 2, length, 2), the second of the last axis being the window of the other
                strand.
            sites: Where the variant stands in each (batch, 2, 2): for each allele the position in
                the window as given, and that in the window of the other strand, as that strand is
                read. The latter is only used where both strands are read.
            labels: Class ids (batch,), or values (batch, num_labels).
            return_dict: Whether to return a ModelOutput, else a tuple.

        Returns:
            Loss if there are labels, and logits (batch, num_labels).

        Raises:
            ValueError: If ids or sites are of another shape than this model reads now.
        """
        self._check(input_ids, sites)
        strands = input_ids if input_ids.dim() == 4 else input_ids[..., None]
        stacked = strands.permute(3, 1, 0, 2).flatten(0, 2)
        last, _, _ = self.run_base(stacked, None, None, None)
        logits = self._compare(last, sites)
        loss = None
        if labels is not None:
            loss = classification_loss(logits, labels, self.config.problem_type)
        output = SequenceClassifierOutput(loss=loss, logits=logits)
        return output if choose(return_dict, self.config.return_dict) else output.to_tuple()

    def _compare(self, last: Tensor, sites: Tensor) -> Tensor:
        """Final states, strand by strand and in each REF before ALT, to logits (batch, labels)."""
        if self.config.rcps:
            last = split_strands(last)
        count = 2 if self.config.rcps or self.conjoins else 1
        hidden = last.view(count, 2, len(sites), *last.shape[1:])
        outputs = []
        for strand in range(count):
            change: Change = state_change(hidden[strand], sites[:, :, strand].T)
            outputs.append(self.score(change))
        return torch.stack(outputs).mean(dim=0)

    def _check(self, input_ids: Tensor, sites: Tensor) -> None:
        shape = tuple(input_ids.shape)
        wanted = "(batch, 2, length, 2)" if self.conjoins else "(batch, 2, length)"
        if len(shape) != (4 if self.conjoins else 3) or {2} != {*shape[1:2], *shape[3:]}:
            raise ValueError(f"input_ids must hold both alleles, {wanted}, not {shape}")
        if sites.shape != (shape[0], 2, 2):
            raise ValueError(f"sites must be (batch, 2, 2), not {tuple(sites.shape)}")

    @torch.no_grad()
    def draw_head(self) -> None:
        """Give the head new weights, whatever it had."""
        for layer, deviation in self.score.first_values(self.embedding_range):
            layer.weight.normal_(std=deviation)
            if layer.bias is not None:
                layer.bias.zero_()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if module is self.score:  # after its layers, which drew by the family's law
            for layer, deviation in self.score.first_values(self.embedding_range):
                init.normal_(layer.weight, std=deviation)
                if layer.bias is not None:
                    init.zeros_(layer.bias)
