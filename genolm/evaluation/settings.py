"""What `genolm evaluate --recipe` reads: models, and what they are trained with on each task.

    default: {train: {epochs: 10}}            # keys of fine-tuning recipes, for every training
    models:                                   # one row of the table each
      scratch: {model: {family: caduceus, d_model: 64}}
      pretrained: {model: {path: runs/yeast/model}, tasks: {H3: {train: {epochs: 4}}}}
    tasks:                                    # for every model on one task
      H3: {train: {learning_rate: 5e-4}, crop: 200}

Later ones win: protocol, default, models, tasks, tasks of a model, KEY=VALUE.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from genolm.errors import UsageError
from genolm.training.recipe_files import check_values, find_recipe, read_yaml
from genolm.training.recipe_types import Count, Name, Names, NotNegative, Positive, Section

Values = dict[str, Any]
SOURCES = ("family", "preset", "path")
"""Keys of which a model section has one; a later section that names another replaces the whole."""


class CnnSettings(Section):
    """How the CNN of GenomicBenchmarks is trained."""

    epochs: Count = Field(default=10, description="passes over the train part, at most")
    batch_size: Count = Field(default=64, description="sequences in a batch")
    learning_rate: Positive = Field(default=1e-3, description="of Adam")
    weight_decay: NotNegative = Field(default=0.0, description="of Adam")
    patience: Count | None = Field(
        default=3, description="epochs without a better validation before stopping; null = never"
    )
    max_minutes: Positive | None = Field(default=None, description="stop there; null = no limit")


class TaskSettings(BaseModel):
    """What is said of one task; further keys are those of a fine-tuning recipe."""

    model_config = ConfigDict(extra="allow", frozen=True)

    folder: Name | None = Field(default=None, description="where it lies, under --data")
    metric: Name | None = Field(default=None, description="what it is judged by")
    kind: Literal["classification", "multilabel", "regression"] | None = Field(
        default=None, description="what its labels are"
    )
    oriented: bool | None = Field(default=None, description="whether a label belongs to one strand")
    crop: Count | Literal["shortest"] | None = Field(
        default=None,
        union_mode="left_to_right",
        description="bases kept around the middle of every sequence, so that length says nothing;"
        " shorter ones are left out; shortest = as many as the shortest has",
    )
    windows: Count = Field(default=1000, description="train windows of a genome (species)")
    window: Count | None = Field(default=None, description="bases of a window (species)")
    cnn: Values = Field(default_factory=dict, description="keys of the CNN's section")

    @property
    def recipe(self) -> Values:
        """The keys of a fine-tuning recipe."""
        return dict(self.model_extra or {})


class ModelSettings(BaseModel):
    """One row of the table: keys of a fine-tuning recipe, and what differs on single tasks."""

    model_config = ConfigDict(extra="allow", frozen=True)

    tasks: dict[str, Values] = Field(default_factory=dict, description="by task")

    @property
    def recipe(self) -> Values:
        """The keys of a fine-tuning recipe."""
        return dict(self.model_extra or {})


class EvaluateSettings(Section):
    """A whole evaluation; the command line may say otherwise."""

    protocol: Name | None = Field(default=None, description="clean, paper-hyenadna, ...")
    seeds: Count | None = Field(default=None, description="trainings of every model on a task")
    folds: Count | None = Field(default=None, description="parts of k-fold cross-validation")
    only: Names | None = Field(default=None, description="tasks; null = all of the suite")
    baselines: list[str] | None = Field(
        default=None, description="some of majority, length, kmer, cnn; null = all"
    )
    cnn: CnnSettings = Field(default_factory=CnnSettings, description="the CNN")
    default: Values = Field(default_factory=dict, description="for every training")
    models: dict[str, ModelSettings] = Field(default_factory=dict, description="rows by name")
    tasks: dict[str, TaskSettings] = Field(default_factory=dict, description="by task")

    def of_task(self, name: str) -> TaskSettings:
        """Return what is said of a task."""
        return self.tasks.get(name, TaskSettings())


def read_settings(path: str | Path | None) -> tuple[EvaluateSettings, str]:
    """Read an evaluation recipe.

    Args:
        path: A YAML file, the name of a shipped one, or None for the defaults.

    Returns:
        The settings, and what to call their source in messages.

    Raises:
        UsageError: The file, a key or a value is wrong.
    """
    if path is None:
        return EvaluateSettings(), "the command line"
    source = find_recipe(path, "evaluate")
    return check_values(EvaluateSettings, read_yaml(source), source), str(source)


def merge(*layers: Mapping[str, Any]) -> Values:
    """Return mappings laid over one another; later ones win, section by section.

    A ``model`` section that names another source than the ones before replaces them.
    """
    result: Values = {}
    for layer in layers:
        for key, value in layer.items():
            before = result.get(key)
            if key == "model" and isinstance(value, Mapping) and isinstance(before, Mapping):
                before = {} if _names_another(value, before) else before
            if isinstance(value, Mapping) and isinstance(before, Mapping):
                result[key] = merge(before, value)
            else:
                result[key] = merge(value) if isinstance(value, Mapping) else value
    return result


def _names_another(model: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    named = [key for key in SOURCES if model.get(key) is not None]
    return bool(named) and named != [key for key in SOURCES if before.get(key) is not None]


def require_known(names: Sequence[str], known: Sequence[str], what: str) -> None:
    """Refuse a name that is none of those known.

    Raises:
        UsageError: The message lists them.
    """
    for name in names:
        if name not in known:
            raise UsageError(f"{what}: no {name!r}; choose {', '.join(known) or 'none'}")
