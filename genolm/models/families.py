"""The families, and which class does which task. A new family is one folder and one entry here."""

from dataclasses import dataclass
from typing import Literal

from genolm.models.backbone import GenolmModel
from genolm.models.caduceus.configuration_caduceus import CaduceusConfig
from genolm.models.caduceus.modeling_caduceus import (
    Caduceus,
    CaduceusForCausalLM,
    CaduceusForMaskedLM,
    CaduceusForSequenceClassification,
    CaduceusForTokenClassification,
)
from genolm.models.caduceus.variant_caduceus import CaduceusForVariantEffect
from genolm.models.classification import SequenceClassifier
from genolm.models.configuration import GenolmConfig
from genolm.models.hyenadna.configuration_hyenadna import HyenaDNAConfig
from genolm.models.hyenadna.modeling_hyenadna import (
    HyenaDNAForCausalLM,
    HyenaDNAForSequenceClassification,
    HyenaDNAForTokenClassification,
    HyenaDNAModel,
)
from genolm.models.hyenadna.variant_hyenadna import HyenaDNAForVariantEffect
from genolm.models.language import CausalLanguageModel, MaskedLanguageModel
from genolm.models.token_classification import TokenClassifier
from genolm.models.variant_effect import VariantEffectModel

Task = Literal["masked_lm", "causal_lm", "classification", "token_classification", "variant_effect"]


@dataclass(frozen=True)
class Family:
    """The classes of one family.

    Attributes:
        config: Its config.
        backbone: The model without a head.
        tasks: Task to the class that does it; the first is what a folder without a stated
            architecture is taken for.
    """

    config: type[GenolmConfig]
    backbone: type[GenolmModel]
    tasks: dict[Task, type[GenolmModel]]

    def named(self, architecture: str) -> type[GenolmModel] | None:
        """The class of this name, if the family has one."""
        classes = (self.backbone, *self.tasks.values())
        return next((cls for cls in classes if cls.__name__ == architecture), None)

    def for_task(self, task: str) -> type[GenolmModel]:
        """The class that does a task.

        Raises:
            ValueError: If the family has none; the message lists the tasks it has.
        """
        for known, cls in self.tasks.items():
            if known == task:
                return cls
        name = self.config.model_type
        raise ValueError(f"{name} has no task {task!r}; it has {', '.join(self.tasks)}")


FAMILIES: dict[str, Family] = {
    "caduceus": Family(
        CaduceusConfig,
        Caduceus,
        {
            "masked_lm": CaduceusForMaskedLM,
            "causal_lm": CaduceusForCausalLM,
            "classification": CaduceusForSequenceClassification,
            "token_classification": CaduceusForTokenClassification,
            "variant_effect": CaduceusForVariantEffect,
        },
    ),
    "hyenadna": Family(
        HyenaDNAConfig,
        HyenaDNAModel,
        {
            "causal_lm": HyenaDNAForCausalLM,
            "classification": HyenaDNAForSequenceClassification,
            "token_classification": HyenaDNAForTokenClassification,
            "variant_effect": HyenaDNAForVariantEffect,
        },
    ),
}


def objective_of(model: object) -> Task:
    """What a model with a head does.

    Args:
        model: A model of any family.

    Returns:
        masked_lm, causal_lm, classification, token_classification or variant_effect.

    Raises:
        ValueError: If the model has no head.
    """
    if isinstance(model, MaskedLanguageModel):
        return "masked_lm"
    if isinstance(model, CausalLanguageModel):
        return "causal_lm"
    if isinstance(model, SequenceClassifier):
        return "classification"
    if isinstance(model, TokenClassifier):
        return "token_classification"
    if isinstance(model, VariantEffectModel):
        return "variant_effect"
    raise ValueError(f"{type(model).__name__} has no head, so it has no objective")
