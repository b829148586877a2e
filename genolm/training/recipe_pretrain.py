"""What a pretraining recipe may say: every key, its type, its default and what it means."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from genolm.training.recipe import ModelSection, TrainSection
from genolm.training.recipe_data import GenomeSection
from genolm.training.recipe_masking import MaskingSection
from genolm.training.recipe_types import (
    Count,
    Positive,
    Section,
    Whole,
)

Objective = Literal["masked_lm", "causal_lm"]


class LengthStage(Section):
    """A beginning of the training on shorter windows."""

    length: Count = Field(description="bases; must divide data.length")
    steps: Count = Field(description="steps of the optimiser")


class PretrainTrainSection(TrainSection):
    """How long and how fast a language model learns."""

    steps: Count = Field(default=1000, description="steps of the optimiser")
    batch_size: Count = Field(default=8, description="windows in a batch")
    length_stages: tuple[LengthStage, ...] = Field(
        default=(),
        description="[{length: 256, steps: 300}, ...] to begin with: windows are cut into pieces, "
        "as many more of them as they are shorter",
    )
    rank_timeout: Positive = Field(
        default=10.0,
        description="minutes that a process waits for the others (torchrun) before it gives up",
    )
    sharding: Literal["none", "fsdp"] = Field(
        default="none",
        description="fsdp = each process (torchrun) keeps its share of weights, gradients and "
        "moments, instead of a copy of all (FSDP2)",
    )
    sequence_ranks: Count = Field(
        default=1,
        description="processes (torchrun) that share each window, a slice of its length each; must "
        "divide their number and data.length",
    )
    learning_rate: Positive | None = Field(
        default=None, description="null = the paper's: 8e-3 (Caduceus), 6e-4 (HyenaDNA)"
    )
    seed: Whole = Field(
        default=2222, description="of the weights, the order, the strands and the masks"
    )
    save_every: Count = Field(
        default=100, description="steps between checkpoints (the last 2 are kept)"
    )
    eval_every: Count = Field(default=100, description="steps between looks at the validation part")
    eval_windows: Count = Field(
        default=128, description="validation windows of such a look, evenly spread"
    )
    test_windows: Count | None = Field(
        default=2048, description="windows of each final evaluation, evenly spread; null = all"
    )


class PretrainRecipe(Section):
    """A language model of a genome."""

    model: ModelSection = Field(description="the model")
    data: GenomeSection = Field(description="the genome")
    objective: Objective = Field(description="hidden bases are guessed, or the next one")
    masking: MaskingSection = Field(default_factory=MaskingSection, description="for masked_lm")
    train: PretrainTrainSection = Field(
        default_factory=PretrainTrainSection, description="the training"
    )
    output: Path = Field(description="the run folder")

    @model_validator(mode="after")
    def _stages_fit(self) -> Self:
        lengths = [stage.length for stage in self.train.length_stages]
        ways = self.train.sequence_ranks
        if any(length % ways for length in (*lengths, self.data.length)):
            raise ValueError(
                f"train.sequence_ranks: {ways} must divide data.length, {self.data.length}, and "
                "the length of every stage"
            )
        if any(self.data.length % length for length in lengths):
            raise ValueError(
                f"train.length_stages: {lengths} must divide data.length, {self.data.length}"
            )
        if sorted(lengths) != lengths:
            raise ValueError(f"train.length_stages: {lengths} must not become shorter")
        steps = sum(stage.steps for stage in self.train.length_stages)
        if steps > self.train.steps:
            raise ValueError(f"train.length_stages: {steps} steps are more than train.steps")
        return self
