"""The folder of a run: what is in it, whether it can be gone on with, and whether it is done.

    recipe.yaml      the recipe with every default filled in
    run.json         versions, machine, digests of the data
    metrics.jsonl    one line a logged step
    checkpoints/     the last complete ones, to resume from
    model/           the result: weights, config, tokenizer
    metrics.json     the final figures; written last, so that it also says "done"

What makes a checkpoint count is said in :mod:`genolm.training.checkpoints`.
"""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from genolm.atomic import write_text
from genolm.errors import UsageError
from genolm.lock import hold_folder
from genolm.training.checkpoints import latest_checkpoint, read_json, write_json
from genolm.training.json_lines import append_json_line, read_json_lines
from genolm.training.recipe_finetune import FinetuneRecipe
from genolm.training.recipe_pretrain import PretrainRecipe

AnyRecipe = PretrainRecipe | FinetuneRecipe

FREE_KEYS = frozenset(
    {
        "output",
        "data.fasta",  # told apart by the digest of the bases
        "data.workers",
        "train.threads",
        "train.checkpointing",
        "train.tensorboard",
        "train.rank_timeout",
        "train.sequence_ranks",
        "train.sharding",
        "train.log_every",
        "train.save_every",
        "train.eval_every",
        "train.max_minutes",
        "train.guard",
        "train.spike",
        "search.trials",
    }
)
"""Keys that may change between two starts of one run: they do not change what it computes, or, as
those of the guard, say how to get past a step that stopped it."""

_FASTA_OF_ONE = re.compile(r"data\.genomes\.\d+\.fasta")

RECORD = "run.json"
"""Written first and removed last: a folder without it is not ours to change."""

SKIPPED = "skipped.jsonl"

SUB_RUNS = ("self_pretraining", "rc_candidates")
"""Folders of runs that a run makes before its own steps."""

BOARDS = "tensorboard"

LEFT_BEHIND = (
    "metrics.json",
    "metrics.jsonl",
    "recipe.yaml",
    "baselines.json",
    "test_predictions.tsv",
    SKIPPED,
    RECORD,
)
"""Files of a run, which --restart removes."""


@dataclass(frozen=True)
class RunFolder:
    """Paths and states of one run.

    Attributes:
        path: The recipe's ``output``.
    """

    path: Path

    @property
    def model(self) -> Path:
        """The folder of the finished model."""
        return self.path / "model"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def lines(self) -> Path:
        """The file with one line a logged step."""
        return self.path / "metrics.jsonl"

    @property
    def metrics(self) -> Path:
        """The file of the final figures."""
        return self.path / "metrics.json"

    @property
    def recipe(self) -> Path:
        """The recipe as it was run."""
        return self.path / "recipe.yaml"

    @property
    def record(self) -> Path:
        """Versions, machine and digests."""
        return self.path / RECORD

    @property
    def boards(self) -> Path:
        """The folder of event files for TensorBoard."""
        return self.path / BOARDS

    @property
    def skipped(self) -> Path:
        """The file with one line for every step that the guard found wrong."""
        return self.path / SKIPPED

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep other processes out of the folder, which is created, during the block.

        Raises:
            UsageError: Another process trains there.
        """
        self._require_folder()
        self.path.mkdir(parents=True, exist_ok=True)
        with hold_folder(self.path, "another process trains in this folder"):
            yield

    def is_done(self) -> bool:
        """Tell whether the run has ended and its model is there."""
        return self.metrics.is_file() and self.model.is_dir()

    def begin(self, recipe: AnyRecipe, facts: Mapping[str, Any], *, restart: bool) -> None:
        """Create the folder for ``recipe``, or check that it belongs to ``recipe``.

        Args:
            recipe: With every default filled in.
            facts: Versions, machine and digests; ``facts["data"]`` must not change.
            restart: Remove what an earlier run left.

        Raises:
            UsageError: When the folder belongs to another recipe, to other data, or to no run.
        """
        self._require_folder()
        self.require_ours()
        if restart:
            self.remove()
        self._remove_partial()
        if self.recipe.is_file():
            self._require_same(recipe, facts)
            return
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.record, facts)
        self.checkpoints.mkdir(exist_ok=True)
        write_text(self.recipe, _recipe_text(recipe, facts))

    def _require_folder(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"output: {self.path} is a file; name a folder")

    def require_ours(self) -> None:
        """Refuse a folder in which something of ours would take the place of something else.

        Raises:
            UsageError: It holds such a thing.
        """
        if self.record.is_file():
            return
        names = (self.model.name, self.checkpoints.name, BOARDS, *SUB_RUNS, *LEFT_BEHIND)
        if found := [name for name in names if (self.path / name).exists()]:
            raise UsageError(
                f"output: {self.path} holds {', '.join(found)} that no run left there: "
                "name another folder"
            )

    def remove(self) -> None:
        """Remove what a run left."""
        self.remove_weights()
        shutil.rmtree(self.path / BOARDS, ignore_errors=True)
        for name in LEFT_BEHIND:
            (self.path / name).unlink(missing_ok=True)

    def remove_weights(self) -> None:
        """Remove the model, the checkpoints and the runs made before; files of figures stay."""
        for folder in (self.model, self.checkpoints, *(self.path / name for name in SUB_RUNS)):
            shutil.rmtree(folder, ignore_errors=True)

    def move_to(self, other: "RunFolder") -> None:
        """Move a run that is not finished to another folder; what has been moved before stays."""
        other.path.mkdir(parents=True, exist_ok=True)
        files = (RECORD, self.recipe.name, self.lines.name, SKIPPED)
        for name in (*files, self.checkpoints.name, BOARDS, *SUB_RUNS):
            if (self.path / name).exists():
                (self.path / name).replace(other.path / name)

    def _remove_partial(self) -> None:
        """Remove what a process that was killed was just writing."""
        for stray in self.path.glob(".*.partial.*"):
            if stray.is_dir():
                shutil.rmtree(stray)
            else:
                stray.unlink()

    def _require_same(self, recipe: AnyRecipe, facts: Mapping[str, Any]) -> None:
        before, now = _flatten(self._recorded(recipe)), _flatten(recipe.model_dump(mode="json"))
        differing = sorted(
            key
            for key in before.keys() | now.keys()
            if not _is_free(key) and before.get(key) != now.get(key)
        )
        if differing:
            raise UsageError(
                f"{self.path} holds a run of another recipe, different in {', '.join(differing)}: "
                "give another output, or --restart to begin anew"
            )
        known, found = read_json(self.record).get("data") or {}, facts["data"]
        if known != found:
            changed = [key for key in {**found, **known} if known.get(key) != found.get(key)]
            raise UsageError(
                f"{self.path}: the data has changed since this run began ({', '.join(changed)}): "
                "give another output, or --restart to begin anew"
            )

    def _recorded(self, recipe: AnyRecipe) -> dict[str, Any]:
        """Return the values that the run began with.

        A key that its genolm did not know has the value by default, which is what it then did.
        """
        values: dict[str, Any] = yaml.safe_load(self.recipe.read_text(encoding="utf-8"))
        try:
            return type(recipe).model_validate(values).model_dump(mode="json")
        except ValidationError:  # a key that this genolm does not know: told as a difference
            return values

    def latest_checkpoint(self) -> Path | None:
        """Return the newest whole checkpoint; see :func:`checkpoints.latest_checkpoint`."""
        return latest_checkpoint(self.checkpoints)

    def append_line(self, values: Mapping[str, Any]) -> None:
        """Add one line to metrics.jsonl."""
        append_json_line(self.lines, values)

    def read_lines(self) -> list[dict[str, Any]]:
        """Return the lines of metrics.jsonl; a half line at the end (a crash) is left out."""
        return read_json_lines(self.lines)

    def forget_lines_after(self, step: int) -> None:
        """Take out of metrics.jsonl and skipped.jsonl what a resumed run will write again."""
        for file in (self.lines, self.skipped):
            if file == self.lines or file.is_file():
                kept = [line for line in read_json_lines(file) if line["step"] <= step]
                write_text(file, "".join(json.dumps(line) + "\n" for line in kept))


def _recipe_text(recipe: AnyRecipe, facts: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    values = recipe.model_dump(mode="json")
    return f"# {versions}\n" + yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def _is_free(key: str) -> bool:
    genome = _FASTA_OF_ONE.fullmatch(key)
    return key in FREE_KEYS or genome is not None


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
            value = {str(number): one for number, one in enumerate(value)}
        if isinstance(value, Mapping) and value:
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
