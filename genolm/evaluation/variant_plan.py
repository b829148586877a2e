"""What an evaluation's recipe says of labelled variants: their files, genome, labels and groups.

A task of the suite ``variants`` is described in the recipe, as in a fine-tuning recipe of
``task: variant_effect``; files may be named as they are called in the task's folder.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from genolm.evaluation.settings import Values, merge
from genolm.evaluation.suites import Task
from genolm.training.recipe_variants import VARIANT_EFFECT

FILES: Final = ("train", "valid", "test", "fasta")


def variant_values(task: Task, data: Path, *layers: Mapping[str, Any]) -> Values:
    """Return the keys of a fine-tuning recipe that say which variants it is about.

    Args:
        task: Its folder and kind.
        data: Folder of the suite.
        layers: Of the recipe; later ones win. Their ``data`` section counts.
    """
    section = merge(*({"data": layer.get("data") or {}} for layer in layers)).get("data", {})
    placed = {
        key: _place(value, data / task.folder) if key in FILES else value
        for key, value in section.items()
    }
    return {"task": VARIANT_EFFECT, "data": {**placed, "kind": task.kind}}


def _place(name: Any, folder: Path) -> Any:
    if name is None or not (folder / str(name)).exists():
        return name
    return str(folder / str(name))
