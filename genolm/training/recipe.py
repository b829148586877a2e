"""What a recipe may say: every key, its type, its default and what it means.

A recipe is data. Reading one from a file is :mod:`genolm.training.recipe_files`; acting on one is
:mod:`genolm.training.pretrain` and :mod:`genolm.training.finetune`.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from genolm.training.recipe_masking import MaskingSection
from genolm.training.recipe_types import (
    Count,
    Fraction,
    Momentum,
    Name,
    Names,
    NotNegative,
    Positive,
    Section,
    Whole,
)

Objective = Literal["masked_lm", "causal_lm"]
Schedule = Literal["cosine", "cosine_after_warmup", "constant"]
Precision = Literal["auto", "float32", "bf16"]
Task = Literal["classification", "multilabel", "regression"]
Action = Literal["stop", "skip"]
Metric = Literal["loss", "mcc", "accuracy", "auroc", "f1"]


class ModelSection(BaseModel):
    """Which model: exactly one of ``family``, ``preset`` and ``path``, and its options.

    Further keys are options of the family's configuration (``d_model``, ``n_layer``, ``rcps``, ...)
    and are checked when the model is built.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    family: Name | None = Field(default=None, description="a new model: caduceus or hyenadna")
    preset: Name | None = Field(default=None, description="a new model of a published size")
    path: Path | None = Field(
        default=None,
        description="a trained model to go on from: its folder, or the name of a bundled one",
    )

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        given = [name for name in ("family", "preset", "path") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) if given else "none of them"
            raise ValueError(f"give exactly one of family, preset and path (found {found})")
        return self

    @property
    def options(self) -> dict[str, object]:
        """The configuration options, without ``family``, ``preset`` and ``path``."""
        return dict(self.model_extra or {})


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


class TrainSection(Section):
    """What pretraining and fine-tuning share: one optimiser, one machine."""

    weight_decay: NotNegative = Field(
        default=0.1, description="AdamW; which parameters: the paper's rule"
    )
    betas: tuple[Momentum, Momentum] | None = Field(
        default=None, description="AdamW; null = .9, .95 (Caduceus pretraining), else .9, .999"
    )
    warmup: Fraction | None = Field(
        default=None, description="share of the steps; null = .1 (Caduceus pretraining), else .01"
    )
    min_learning_rate: NotNegative | None = Field(
        default=None,
        description="at the end; null = 1/80 (Caduceus pretraining), else 1/10, of the rate",
    )
    schedule: Schedule | None = Field(
        default=None, description="null = cosine_after_warmup (Caduceus pretraining), else cosine"
    )
    grad_clip: NotNegative = Field(
        default=1.0, description="largest norm of a gradient; 0 = do not clip"
    )
    guard: Action = Field(
        default="stop",
        description="at a step whose loss or gradient is no number, or a spike: end the run there, "
        "or leave the step out; its windows are in skipped.jsonl",
    )
    spike: Positive | None = Field(
        default=None,
        description="standard deviations above the mean of the last 100 losses that make a spike; "
        "null = none do",
    )
    accumulate: Count = Field(default=1, description="batches to one step of the optimiser")
    precision: Precision = Field(
        default="auto", description="of linear layers; auto = bf16 where fast"
    )
    threads: Count | None = Field(default=None, description="CPU threads; null = as torch chooses")
    backend: Name | None = Field(
        default=None, description="kernel backend; null = the fastest that runs"
    )
    log_every: Count = Field(default=10, description="steps between lines of metrics.jsonl")
    max_minutes: Positive | None = Field(
        default=None,
        description="stop there and evaluate, wherever the schedule is; null = no limit",
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


class LabelledSection(Section):
    """Labelled sequences: a table with two columns or a GenomicBenchmarks folder."""

    train: Path = Field(description="CSV, TSV or Parquet, or a GenomicBenchmarks folder")
    test: Path | None = Field(
        default=None, description="likewise; null = the test part of the train folder"
    )
    valid: Path | None = Field(
        default=None, description="likewise; null = held out of train by seed"
    )
    sequence: Name = Field(default="sequence", description="column with the bases")
    label: Name | Names = Field(
        default="label",
        union_mode="left_to_right",
        description="column with the label; for multilabel, names with ; between or 0/1 columns",
    )
    valid_fraction: Fraction = Field(
        default=0.1, description="share of train held out, of each class"
    )
    length: Count | None = Field(
        default=None, description="bases; null = the longest train sequence, or the model's maximum"
    )
    workers: Whole = Field(
        default=0, description="processes that prepare batches; 0 = the main one"
    )


class FinetuneTrainSection(TrainSection):
    """How long and how fast a classifier or regressor learns."""

    epochs: Count = Field(default=10, description="passes over the train part, at most")
    batch_size: Count = Field(default=64, description="sequences in a batch")
    learning_rate: Positive = Field(default=1e-3, description="at the top of the schedule")
    seed: Whole = Field(
        default=1, description="of the held-out part, the head, the order and the strands"
    )
    patience: Count | None = Field(
        default=3,
        description="epochs without a better validation before stopping; null = never stop",
    )
    early_stopping_metric: Metric = Field(
        default="loss", description="of the held-out part: picks the epoch that is kept"
    )
    freeze_backbone: bool = Field(default=False, description="train the head only")
    rc: Literal["none", "augment", "conjoin"] = Field(
        default="none",
        description="the other strand: not shown, shown at random, or read beside the first; "
        "only for sets whose labels do not depend on the strand",
    )


class FinetuneRecipe(Section):
    """A classifier or regressor of sequences."""

    model: ModelSection = Field(description="the model")
    data: LabelledSection = Field(description="the labelled sequences")
    task: Task = Field(
        default="classification", description="classification, multilabel or regression"
    )
    train: FinetuneTrainSection = Field(
        default_factory=FinetuneTrainSection, description="the training"
    )
    output: Path = Field(description="the run folder")

    @model_validator(mode="after")
    def _metric_fits_task(self) -> Self:
        metric = self.train.early_stopping_metric
        if self.task == "regression" and metric != "loss":
            raise ValueError(f"train.early_stopping_metric: {metric} is no metric of a regression")
        return self
