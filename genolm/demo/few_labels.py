"""A classifier from few labels: from the bundled model, from nothing, and from counting words."""

import gzip
import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from genolm.atomic import replace_when_done
from genolm.demo.bundle import RECIPES
from genolm.training.checkpoints import read_json
from genolm.training.finetune import finetune
from genolm.training.recipe_files import load_finetune_recipe

LABELS = 200
BEGINNINGS = ("bundled", "scratch")
"""Where the two classifiers begin; each has its recipe, ``few_labels_NAME.yaml``."""


def choose_few(labelled: Path) -> Path:
    """Write the first ``LABELS`` rows of the labelled set, which is in a random order.

    Args:
        labelled: Folder with train.csv.gz.

    Returns:
        The file that was written.
    """
    few = labelled / f"train_{LABELS}.csv.gz"
    with gzip.open(labelled / "train.csv.gz", "rt", encoding="ascii") as lines:
        text = "".join(islice(lines, LABELS + 1))
    with replace_when_done(few) as partial:
        # No name and no time inside: the same rows give the same bytes.
        partial.write_bytes(gzip.compress(text.encode("ascii"), mtime=0))
    return few


def finetune_few(folder: Path, *, changes: Sequence[str] = (), restart: bool = False) -> None:
    """Fine-tune both classifiers on the same few labels.

    Args:
        folder: The demo's; the runs go to ``few_labels_bundled`` and ``few_labels_scratch``.
        changes: Overrides of both recipes.
        restart: Begin anew.
    """
    labelled = folder / "data" / "labelled"
    places = {"data.train": choose_few(labelled), "data.test": labelled / "test.csv.gz"}
    for beginning in BEGINNINGS:
        name = f"few_labels_{beginning}"
        here = {**places, "output": folder / name}
        # JSON is YAML: quoting keeps any folder name in one piece.
        overrides = [f"{key}={json.dumps(str(path))}" for key, path in here.items()]
        recipe = load_finetune_recipe(RECIPES / f"{name}.yaml", [*overrides, *changes])
        finetune(recipe, restart=restart)


def read_few(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the test figures of both classifiers and of the k-mer regression, by name."""
    found = {name: read_json(folder / f"few_labels_{name}" / "metrics.json") for name in BEGINNINGS}
    counted = found["bundled"]["baselines"]["kmer_logistic"]
    return {**{name: metrics["test"] for name, metrics in found.items()}, "kmer_logistic": counted}
