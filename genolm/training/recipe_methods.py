"""How a classifier learns, beyond epochs and rates: the keys of the methods of fine-tuning."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from genolm.training.recipe import TrainSection
from genolm.training.recipe_types import Count, Momentum, Name, Names, Positive, Section, told_as


class SelfPretrainSection(Section):
    """Language modelling on the train sequences, before their labels are looked at.

    Amos et al. 2023 (arXiv 2310.02980, "Never train from scratch"). Rows of the validation and
    test parts are never trained on.
    """

    objective: Literal["masked_lm", "causal_lm"] | None = Field(
        default=None, description="null = causal_lm where the model reads one way only"
    )
    epochs: Count | None = Field(
        default=None, description="passes over the train part; null = 10, or as many as steps take"
    )
    steps: Count | None = Field(default=None, description="instead of epochs")
    minutes: Positive | None = Field(
        default=None, description="stop there, wherever the schedule is; null = no limit"
    )
    batch_size: Count | None = Field(default=None, description="null = train.batch_size")
    learning_rate: Positive | None = Field(
        default=None, description="null = the paper's: 8e-3 (Caduceus), 6e-4 (HyenaDNA)"
    )
    rc_augment: bool | None = Field(
        default=None,
        description="random strands; null = unless the model is equivariant or train.rc is none",
    )

    @model_validator(mode="after")
    def _has_one_length(self) -> Self:
        if self.steps is not None and self.epochs is not None:
            raise ValueError("give epochs or steps, not both")
        return self


class LoRASection(Section):
    """Low-rank adapters in the linear layers of the backbone (Hu et al. 2021, arXiv 2106.09685)."""

    rank: Count = Field(default=8, description="rank of the change of each layer")
    alpha: Positive = Field(default=16, description="the change is scaled by alpha / rank")
    dropout: Momentum = Field(default=0.0, description="of the adapters' inputs, while training")
    targets: Names | None = Field(
        default=None,
        description="names of layers (in_proj, out_proj, x_proj, ...); null = all linear ones",
    )


def _read_switch(value: object) -> object:
    """Read true as a section of defaults, and false as none."""
    if isinstance(value, bool):
        return {} if value else None
    return value


Switch = BeforeValidator(_read_switch)


class MethodKeys(TrainSection):
    """The methods, each off unless it is asked for."""

    rc: Literal["none", "augment", "conjoin", "conjoin_eval", "auto"] = Field(
        default="none",
        description="the other strand: not shown, shown at random, read beside the first, or shown "
        "at random and read beside the first when judged; all but none only for labels that do not "
        "depend on the strand. auto = what a short training of each does best on the held-out part",
    )
    rc_share: Positive = Field(
        default=0.1,
        le=0.25,
        description="of train.epochs (one at least) and train.max_minutes that rc: auto gives each "
        "candidate; the training gets what is left of the minutes",
    )
    head: Literal["invariant", "oriented"] | None = Field(
        default=None,
        description="of an equivariant model: whether the strands' scores are averaged, or told "
        "apart; null = invariant (of a class for every base: oriented), or what rc: auto finds",
    )
    class_weights: Annotated[
        Literal["none", "balanced"] | dict[Name, Positive],
        told_as("none, balanced or {class: weight above 0, ...}"),
    ] = Field(
        default="none",
        description="in the training loss: balanced = as classes are rarer, or {name: weight, ...} "
        "with 1 for the others",
    )
    layer_decay: Positive = Field(
        default=1.0,
        le=1,
        description="factor of the learning rate from each layer to the one below it, from the "
        "head down; the embedding's is lowest",
    )
    bucket: bool = Field(
        default=False,
        description="batches of similar lengths, and padding left out of computing and pooling "
        "(model.mask_padding: true)",
    )
    lora: Annotated[LoRASection | None, Switch] = Field(
        default=None,
        description="train adapters of low rank and the head alone; they are merged into the "
        "published model; true = with the defaults (needs peft)",
    )
    self_pretrain: Annotated[SelfPretrainSection | None, Switch] = Field(
        default=None,
        description="language modelling on the train sequences first; true = with its defaults",
    )
