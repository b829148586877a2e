"""What every recipe may say: which model, which optimiser, which machine.

The keys of pretraining alone are in :mod:`genolm.training.recipe_pretrain`, those of fine-tuning in
:mod:`genolm.training.recipe_finetune`.

A recipe is data. Reading one from a file is :mod:`genolm.training.recipe_files`; acting on one is
:mod:`genolm.training.pretrain` and :mod:`genolm.training.finetune`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from genolm.training.recipe_types import (
    Count,
    Fraction,
    Momentum,
    Name,
    NotNegative,
    Positive,
    Section,
)

Schedule = Literal["cosine", "cosine_after_warmup", "constant"]
Precision = Literal["auto", "float32", "bf16", "fp16"]
Action = Literal["stop", "skip"]
Checkpointing = Literal["none", "mixer", "mlp", "both"]


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

    def without(self, names: Iterable[str]) -> Self:
        """Return the section without some of its options."""
        kept = {name: value for name, value in self.model_dump().items() if name not in names}
        return type(self).model_validate(kept)


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
        default="auto",
        description="of linear layers; auto = bf16 where that is fast, else float32; fp16 (scaled "
        "gradients) on GPUs",
    )
    checkpointing: Checkpointing = Field(
        default="none",
        description="parts of blocks that are computed again in the backward pass instead of kept: "
        "less memory, more time, the same results",
    )
    threads: Count | None = Field(default=None, description="CPU threads; null = as torch chooses")
    backend: Name | None = Field(
        default=None, description="kernel backend; null = the fastest that runs"
    )
    log_every: Count = Field(default=10, description="steps between lines of metrics.jsonl")
    tensorboard: bool = Field(
        default=False,
        description="write the figures for TensorBoard too, into OUTPUT/tensorboard",
    )
    max_minutes: Positive | None = Field(
        default=None,
        description="stop there and evaluate, wherever the schedule is; null = no limit",
    )
