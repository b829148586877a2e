"""Write one fine-tuning recipe for every task of GenomicBenchmarks and the Nucleotide Transformer.

Each says what ``genolm evaluate`` would train its row ``caduceus_ph`` with on that task, so that
the papers' hyper-parameters stand in one place: ``recipes/evaluate/SUITE.yaml``. After changing
that, run ``python scripts/make_finetune_recipes.py``; a test compares.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from genolm.evaluation.plan import Plan, PlannedTask, make_plan
from genolm.evaluation.request import Request
from genolm.evaluation.suites import known_suites, published
from genolm.training.recipe_finetune import FinetuneTrainSection

SUITES: Final = {
    "genomic_benchmarks": (
        "table 1",
        "GenomicBenchmarks",
        "train/CLASS/*.txt and test/CLASS/*.txt",
    ),
    "nucleotide_transformer": (
        "table 2",
        "the Nucleotide Transformer's tasks",
        "train.csv.gz and test.csv.gz, or .parquet, with sequence and label",
    ),
}
"""By suite: the paper's table of it, what it is called, and what a task's folder holds."""
ROW: Final = "caduceus_ph"
"""The row of the papers' table that a recipe is for; the others stand in its header."""
NAMES: Final = {
    "hyenadna": "HyenaDNA",
    "mamba": "Mamba",
    "caduceus": "Caduceus w/o equiv.",
    "caduceus_ph": "Caduceus-Ph",
    "caduceus_ps": "Caduceus-PS",
}
"""What the paper calls a row."""
PAPER: Final = "Schiff et al. 2024"
RECIPES: Final = Path(__file__).resolve().parents[1] / "recipes"


def recipe_texts() -> dict[str, str]:
    """Return the text of every recipe by its path under ``recipes``."""
    return {
        f"finetune/{suite}/{planned.task.name}.yaml": _text(plan, planned)
        for suite in SUITES
        for plan in [_plan(suite)]
        for planned in plan.tasks
    }


def _plan(suite: str) -> Plan:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        tasks = tuple(known_suites()[suite].tasks)
        return make_plan(Request(suite, place, place, recipe=suite, tasks=tasks))


def _text(plan: Plan, planned: PlannedTask) -> str:
    suite, task, recipe = plan.suite, planned.task, planned.recipes[ROW]
    table, title, files = SUITES[suite.name]
    data = {"train": f"data/{suite.name}/{task.name}", **recipe["data"]}
    values = {
        "model": recipe["model"],
        "data": data,
        "task": recipe["task"],
        "train": {**recipe["train"], "seed": 1},
        "output": f"runs/{suite.name}/{task.name}",
    }
    header = [
        f"{task.name} of {title}: Caduceus-Ph, as its authors fine-tuned it.",
        f"Paper: {PAPER} (arXiv 2403.03234), {table}{_missing(suite.name, task.name)}.",
        "Hardware: a GPU; nobody has run it with genolm yet.",
        f"Data: a folder with {files}.",
        f"Expected: {_expected(suite.name, task.name)}.",
        "Unlike the paper's, test figures are of the whole part, and classes keep their shares in",
        "the tenth that is held out; `genolm evaluate` has the paper's protocol.",
        'It begins untrained; from a checkpoint: "model={path: DIR}". Other seeds: train.seed=2.',
        *_other_rows(planned),
        f"Written by scripts/make_finetune_recipes.py from recipes/evaluate/{suite.name}.yaml.",
    ]
    body = yaml.safe_dump(values, sort_keys=False, default_flow_style=False)
    return "".join(f"# {line}\n" for line in header) + body


def _missing(suite: str, task: str) -> str:
    return "" if published(suite, task) else ", which lacks this set: as on the others"


def _expected(suite: str, task: str) -> str:
    for row in published(suite, task):
        if row.model == NAMES[ROW] and row.source.startswith(PAPER):
            spread = f" ± {row.spread:.3f}" if row.spread is not None else ""
            told = f"{row.metric} {row.value:.3f}{spread}"
            return f"{told} (largest less smallest of {row.runs} seeds), pretrained"
    return "nothing published"


def _other_rows(planned: PlannedTask) -> list[str]:
    """Return what to append to the command for each other row, one line each."""
    ours = planned.recipes[ROW]
    return [
        f"{NAMES[name]}: {' '.join(_changes(ours, recipe))}"
        for name, recipe in planned.recipes.items()
        if name != ROW
    ]


def _changes(ours: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    model = ", ".join(f"{key}: {_say(value)}" for key, value in other["model"].items())
    changes = [f'"model={{{model}}}"']
    for key in ours["train"] | other["train"]:
        mine, wanted = (
            recipe["train"].get(key, FinetuneTrainSection.model_fields[key].default)
            for recipe in (ours, other)
        )
        if mine != wanted:
            changes.append(f"train.{key}={_say(wanted)}")
    return changes


def _say(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def main() -> None:
    """Write them."""
    for name, text in recipe_texts().items():
        file = RECIPES / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
        print(file)


if __name__ == "__main__":
    main()
