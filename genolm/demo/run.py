"""The whole job on bundled DNA: pretrain, fine-tune, score, and one honest table.

Two models stand side by side in it: the one that the demo trains itself, and the one that comes
with genolm, which was trained for longer on the same part of the same genome. What is held out is
the last fifth of that genome for both of them.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from genolm.console import say
from genolm.data.genome_store import open_store
from genolm.data.splits import make_splits
from genolm.demo.bundle import BUNDLED_MODEL, GENOME, RECIPES, VARIANTS, copy_data
from genolm.demo.few_labels import LABELS, finetune_few, read_few
from genolm.demo.stop_gain import ORDERS, stop_gain_auroc
from genolm.models.auto import load
from genolm.scoring.score_file import ScoringJob, score_file
from genolm.training.checkpoints import read_json
from genolm.training.finetune import finetune
from genolm.training.held_out import language_figures, read_part
from genolm.training.pretrain import pretrain
from genolm.training.recipe_files import load_finetune_recipe, load_pretrain_recipe
from genolm.training.recipe_pretrain import PretrainRecipe

QUICK_PRETRAIN = (
    "train.steps=40",
    "train.test_windows=64",
    "train.eval_windows=32",
    "train.eval_every=20",
)
QUICK_FINETUNE = ("train.epochs=1",)
SCORED = {"demo": "scored.vcf.gz", "bundled": "scored_bundled.vcf.gz"}


@dataclass(frozen=True)
class Row:
    """One line of the demo's table.

    Attributes:
        task: What was tried.
        figure: Name of the number; "bits per base" is better when lower, the others when higher.
        demo: What the demo's own model reached; None where it did not take part.
        bundled: What the model that comes with genolm reached; None where it did not take part.
        baselines: What needs no pretraining reaches, by name.
    """

    task: str
    figure: str
    demo: float | None
    bundled: float | None
    baselines: dict[str, float]


def run_demo(folder: Path, *, quick: bool = False, restart: bool = False) -> list[Row]:
    """Pretrain, fine-tune and score on the bundled DNA.

    Args:
        folder: Where everything goes: ``data``, ``pretrain``, ``classifier``, ``scored.vcf.gz``,
            and from the bundled model ``few_labels_bundled`` and ``scored_bundled.vcf.gz``, with
            ``few_labels_scratch`` to compare. Steps that a former run finished are not repeated.
        quick: Train for seconds only; the table then shows that the steps work, not what they
            can do.
        restart: Do every step anew.

    Returns:
        The rows of the table.

    Raises:
        OSError: When the folder cannot be written.
    """
    data = copy_data(folder)
    recipe = _pretrain_recipe(folder, quick)
    few = QUICK_FINETUNE if quick else ()
    _step("1/4 pretrain a causal Mamba on E. coli 536", lambda: pretrain(recipe, restart=restart))
    _step("2/4 fine-tune it on coding against intergenic DNA", _finetune, folder, quick, restart)
    _step("3/4 score stop-gain and synonymous variants", _score, folder, recipe.data.length)
    title = f"4/4 fine-tune {BUNDLED_MODEL}, and fresh weights, on {LABELS} labels"
    _step(title, lambda: finetune_few(folder, changes=few, restart=restart))
    language = read_json(folder / "pretrain" / "metrics.json")
    classifier = read_json(folder / "classifier" / "metrics.json")
    scored = {name: folder / file for name, file in SCORED.items()}
    return [
        _language_row(language, _bundled_bits(recipe)),
        *_classifier_rows(classifier),
        *_few_rows(read_few(folder)),
        _variant_row(stop_gain_auroc(scored, data / GENOME, data / "splits.bed")),
    ]


def _step(title: str, action: Callable[..., object], *arguments: object) -> None:
    say(f"\n== {title}")
    started = time.monotonic()
    action(*arguments)
    say(f"   {time.monotonic() - started:.0f} s")


def _place(**paths: Path) -> list[str]:
    # JSON is YAML: quoting keeps any folder name in one piece.
    return [f"{key.replace('__', '.')}={json.dumps(str(path))}" for key, path in paths.items()]


def _pretrain_recipe(folder: Path, quick: bool) -> PretrainRecipe:
    overrides = _place(
        data__fasta=folder / "data" / GENOME,
        data__bed=folder / "data" / "splits.bed",
        output=folder / "pretrain",
    )
    changes: Sequence[str] = QUICK_PRETRAIN if quick else ()
    return load_pretrain_recipe(RECIPES / "pretrain.yaml", [*overrides, *changes])


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


def _score(folder: Path, window: int) -> None:
    models = {"demo": str(folder / "pretrain" / "model"), "bundled": BUNDLED_MODEL}
    for name, model in models.items():
        job = ScoringJob(
            vcf=str(folder / "data" / VARIANTS),
            reference=str(folder / "data" / GENOME),
            model=model,
            output=str(folder / SCORED[name]),
            window=window,  # the bundled model's own is longer: both are to see the same
            command="genolm demo",
        )
        say(f"{name}: {score_file(job).line()}")


def _bundled_bits(recipe: PretrainRecipe) -> float:
    """Bits per base of the bundled model on the windows that the demo's model is judged on."""
    model, _ = load(BUNDLED_MODEL)
    (genome,) = recipe.data.listed
    with open_store(genome.fasta) as store:
        windows = make_splits(store, recipe.data.length, bed=genome.bed)["test"]
        shown = windows.spread(recipe.train.test_windows or len(windows))
        part = read_part(store, shown, "causal_lm")
    figures = language_figures(model, part, batch_size=16, device=torch.device("cpu"))
    return float(figures["bits_per_base"] or 0)


def _language_row(metrics: dict[str, Any], bundled: float) -> Row:
    test = metrics["test"]
    found, counted = test["bits_per_base"], test["markov"]
    return Row("next base, held-out fifth", "bits per base", found, bundled, counted)


def _classifier_rows(metrics: dict[str, Any]) -> list[Row]:
    test, baselines = metrics["test"], metrics["baselines"]
    rows = []
    for figure in ("accuracy", "mcc", "auroc"):
        beside = {name: row[figure] for name, row in baselines.items() if row.get(figure)}
        rows.append(Row("coding against intergenic", figure, test[figure], None, beside))
    return rows


def _few_rows(found: dict[str, dict[str, Any]]) -> list[Row]:
    rows = []
    for figure in ("accuracy", "auroc"):
        beside = {name: found[name][figure] for name in ("scratch", "kmer_logistic")}
        task = f"the same from {LABELS} labels"
        rows.append(Row(task, figure, None, found["bundled"][figure], beside))
    return rows


def _variant_row(auroc: dict[str, float]) -> Row:
    beside = {f"order_{order}": auroc[f"order_{order}"] for order in ORDERS}
    task = f"stop-gain against synonymous ({auroc['n']:.0f})"
    return Row(task, "auroc", auroc["demo"], auroc["bundled"], beside)
