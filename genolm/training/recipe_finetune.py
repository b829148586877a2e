"""What a fine-tuning recipe may say: every key, its type, its default and what it means."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from genolm.training.recipe import ModelSection
from genolm.training.recipe_methods import MethodKeys
from genolm.training.recipe_search import SearchSection
from genolm.training.recipe_tokens import TOKEN_CLASSIFICATION, check_tokens
from genolm.training.recipe_types import (
    Count,
    Fraction,
    Name,
    Names,
    Positive,
    Section,
    Whole,
    told_as,
)
from genolm.training.recipe_variants import VariantKeys, check_variants

Task = Literal["classification", "multilabel", "regression"]
RecipeTask = Literal[
    "classification", "multilabel", "regression", "token_classification", "variant_effect"
]
Metric = Literal["loss", "mcc", "accuracy", "auroc", "f1"]


class LabelledSection(VariantKeys):
    """Labelled sequences: a table with two columns or a GenomicBenchmarks folder; or variants."""

    train: Path = Field(
        description="CSV, TSV or Parquet, or a GenomicBenchmarks folder; of variants a VCF or "
        "table; of a class for every base a table, or BED with data.fasta"
    )
    test: Path | None = Field(
        default=None, description="likewise; null = the test part of the train folder"
    )
    valid: Path | None = Field(
        default=None, description="likewise; null = held out of train by seed"
    )
    sequence: Name = Field(default="sequence", description="column with the bases")
    label: Annotated[
        Name | Names, Field(union_mode="left_to_right"), told_as("a name, or a list of names,")
    ] = Field(
        default="label",
        description="column (or INFO key) with the label; for multilabel, names with ; between or "
        "0/1 columns; for token_classification, one character a base (NNEEEII)",
    )
    ignore: Name | None = Field(
        default=None,
        description="for token_classification: character, or name of BED intervals (background is "
        "what none covers), of bases that count neither in the loss nor in figures",
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


class FinetuneTrainSection(MethodKeys):
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


class FinetuneRecipe(Section):
    """A classifier or regressor of sequences."""

    model: ModelSection = Field(description="the model")
    data: LabelledSection = Field(description="the labelled sequences")
    task: RecipeTask = Field(
        default="classification",
        description="what the labels are (token_classification: one a base); of variants data.kind "
        "says it",
    )
    train: FinetuneTrainSection = Field(
        default_factory=FinetuneTrainSection, description="the training"
    )
    search: SearchSection | None = Field(
        default=None, description="tries values of other keys; null = they are as given"
    )
    output: Path = Field(description="the run folder")

    @property
    def label_task(self) -> Task:
        """What the labels are, of sequences, variants or bases."""
        if self.task == TOKEN_CLASSIFICATION:
            return "classification"
        return self.data.kind if self.task == "variant_effect" else self.task

    @model_validator(mode="after")
    def _data_has_the_keys_of_its_task(self) -> Self:
        if self.task == TOKEN_CLASSIFICATION:
            check_tokens(self.data, self.data.label, self.data.ignore)
        else:
            if self.data.ignore is not None:
                raise ValueError(f"data.ignore: is for labels of bases ({TOKEN_CLASSIFICATION})")
            check_variants(self.task, self.data, self.data.label, self.data.length)
        if self.task == "variant_effect" and self.train.self_pretrain is not None:
            raise ValueError("train.self_pretrain: is for labelled sequences, not variants")
        return self

    @model_validator(mode="after")
    def _adapters_have_a_backbone(self) -> Self:
        if self.train.lora is not None and self.train.freeze_backbone:
            raise ValueError("train.lora: adapts the backbone; leave out train.freeze_backbone")
        return self

    @model_validator(mode="after")
    def _metric_fits_task(self) -> Self:
        metric = self.train.early_stopping_metric
        if self.label_task == "regression" and metric != "loss":
            raise ValueError(f"train.early_stopping_metric: {metric} is no metric of a regression")
        return self
