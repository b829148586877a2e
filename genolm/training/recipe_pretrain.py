"""What a pretraining recipe may say: every key, its type, its default and what it means."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from genolm.training.recipe import ModelSection, TrainSection
from genolm.training.recipe_masking import MaskingSection
from genolm.training.recipe_types import (
    Count,
    Fraction,
    Names,
    Positive,
    Section,
    Whole,
)

Objective = Literal["masked_lm", "causal_lm"]


class GenomeSection(Section):
    """Which bases are trained on and which are held out."""

    fasta: Path = Field(description="the genome: FASTA, plain or bgzip")
    length: Count = Field(default=1024, description="bases in a window")
    stride: Count | None = Field(
        default=None, description="bases between train windows; null = length"
    )
    train: Names | None = Field(
        default=None, description="contigs; null = all that are not held out"
    )
    valid: Names | None = Field(
        default=None, description="contigs; null = 10 % of each train contig, before those of test"
    )
    test: Names | None = Field(
        default=None, description="contigs; null = the last 10 % of each train one"
    )
    bed: Path | None = Field(
        default=None,
        description="regions to stay in; a 4th column of train/valid/test sets the split",
    )
    max_n_fraction: Fraction = Field(
        default=0.1, description="windows with more N than this are left out"
    )
    jitter: Whole | None = Field(
        default=None, description="bases a train window is moved by at most; null = half of length"
    )
    rc_augment: bool | None = Field(
        default=None, description="train on random strands; null = unless the model is equivariant"
    )
    soft_mask_weight: Fraction = Field(
        default=1.0,
        description="weight in the training loss of bases in lower case (repeats); 0 = not learned",
    )
    workers: Whole = Field(
        default=0, description="processes that prepare batches; 0 = the main one"
    )


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
    objective: Objective = Field(description="masked_lm or causal_lm")
    masking: MaskingSection = Field(default_factory=MaskingSection, description="for masked_lm")
    train: PretrainTrainSection = Field(
        default_factory=PretrainTrainSection, description="the training"
    )
    output: Path = Field(description="the run folder")

    @model_validator(mode="after")
    def _stages_fit(self) -> Self:
        lengths = [stage.length for stage in self.train.length_stages]
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
