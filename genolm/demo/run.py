"""The whole job on bundled DNA: pretrain, fine-tune, score, and one honest table."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genolm.console import say
from genolm.demo.bundle import GENOME, RECIPES, VARIANTS, copy_data
from genolm.demo.stop_gain import ORDERS, stop_gain_auroc
from genolm.scoring.score_file import ScoringJob, score_file
from genolm.training.finetune import finetune
from genolm.training.pretrain import pretrain
from genolm.training.recipe_files import load_finetune_recipe, load_pretrain_recipe
from genolm.training.run_folder import read_json

QUICK_PRETRAIN = (
    "train.steps=40",
    "train.test_windows=64",
    "train.eval_windows=32",
    "train.eval_every=20",
)
QUICK_FINETUNE = ("train.epochs=1",)


@dataclass(frozen=True)
class Row:
    """One line of the demo's table.

    Attributes:
        task: What was tried.
        figure: Name of the number; "bits per base" is better when lower, the others when higher.
        model: What the model reached.
        baselines: What needs no language model reaches, by name.
    """

    task: str
    figure: str
    model: float
    baselines: dict[str, float]


def run_demo(folder: Path, *, quick: bool = False, restart: bool = False) -> list[Row]:
    """Pretrain, fine-tune and score on the bundled DNA.

    Args:
        folder: Where everything goes: ``data``, ``pretrain``, ``classifier``, ``scored.vcf.gz``.
            Steps that a former run finished there are not repeated.
        quick: Train for seconds only; the table then shows that the steps work, not what they
            can do.
        restart: Do every step anew.

    Returns:
        The rows of the table.

    Raises:
        OSError: When the folder cannot be written.
    """
    data = copy_data(folder)
    genome, splits = data / GENOME, data / "splits.bed"
    _step("1/3 pretrain a causal Mamba on E. coli 536", _pretrain, folder, quick, restart)
    _step("2/3 fine-tune it on coding against intergenic DNA", _finetune, folder, quick, restart)
    _step("3/3 score stop-gain and synonymous variants", _score, folder)
    language = read_json(folder / "pretrain" / "metrics.json")
    classifier = read_json(folder / "classifier" / "metrics.json")
    return [
        _language_row(language),
        *_classifier_rows(classifier),
        _variant_row(stop_gain_auroc(folder / "scored.vcf.gz", genome, splits)),
    ]


def _step(title: str, action: Callable[..., None], *arguments: object) -> None:
    say(f"\n== {title}")
    started = time.monotonic()
    action(*arguments)
    say(f"   {time.monotonic() - started:.0f} s")


def _place(**paths: Path) -> list[str]:
    # JSON is YAML: quoting keeps any folder name in one piece.
    return [f"{key.replace('__', '.')}={json.dumps(str(path))}" for key, path in paths.items()]


def _pretrain(folder: Path, quick: bool, restart: bool) -> None:
    overrides = _place(
        data__fasta=folder / "data" / GENOME,
        data__bed=folder / "data" / "splits.bed",
        output=folder / "pretrain",
    )
    changes: Sequence[str] = QUICK_PRETRAIN if quick else ()
    recipe = load_pretrain_recipe(RECIPES / "pretrain.yaml", [*overrides, *changes])
    pretrain(recipe, restart=restart)


def _finetune(folder: Path, quick: bool, restart: bool) -> None:
    labelled = folder / "data" / "labelled"
    overrides = _place(
        model__path=folder / "pretrain" / "model",
        data__train=labelled / "train.csv.gz",
        data__test=labelled / "test.csv.gz",
        output=folder / "classifier",
    )
    changes: Sequence[str] = QUICK_FINETUNE if quick else ()
    recipe = load_finetune_recipe(RECIPES / "finetune.yaml", [*overrides, *changes])
    finetune(recipe, restart=restart)


def _score(folder: Path) -> None:
    job = ScoringJob(
        vcf=str(folder / "data" / VARIANTS),
        reference=str(folder / "data" / GENOME),
        model=str(folder / "pretrain" / "model"),
        output=str(folder / "scored.vcf.gz"),
        command="genolm demo",
    )
    say(score_file(job).line())


def _language_row(metrics: dict[str, Any]) -> Row:
    test = metrics["test"]
    return Row("next base, held-out fifth", "bits per base", test["bits_per_base"], test["markov"])


def _classifier_rows(metrics: dict[str, Any]) -> list[Row]:
    test, baselines = metrics["test"], metrics["baselines"]
    rows = []
    for figure in ("accuracy", "mcc", "auroc"):
        beside = {name: row[figure] for name, row in baselines.items() if row.get(figure)}
        rows.append(Row("coding against intergenic", figure, test[figure], beside))
    return rows


def _variant_row(auroc: dict[str, float]) -> Row:
    beside = {f"order_{order}": auroc[f"order_{order}"] for order in ORDERS}
    return Row(f"stop-gain against synonymous ({auroc['n']:.0f})", "auroc", auroc["model"], beside)
