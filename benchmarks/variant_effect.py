"""Fine-tune on real labelled variants, whole groups held out, and say what it reaches.

    python benchmarks/variant_effect.py --data FOLDER [--model PATH] [--minutes 0.7] [--out DIR]

FOLDER is what GENOLM_DATA names. Two sets: the log2 effects of saturation mutagenesis (Kircher et
al. 2019), every fourth element held out with all experiments on it (effects of one experiment are
comparable among themselves only: see the means over experiments), and common alleles against
singletons of the 1000 Genomes, every fifth block of 10 kb held out. Each training is a run of
`genolm finetune` with `task: variant_effect`, and stands beside baselines that see the same
variants: the mean or the majority, the trinucleotide change, the k-mers that ALT gains and loses.
"""

import argparse
import csv
import gzip
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from variant_sets import BLOCK, CHR20, MPRA, SAME_ELEMENT, THOUSAND

from genolm.training.finetune import finetune
from genolm.training.recipe_finetune import FinetuneRecipe

SHOWN = {"regression": ("spearman", "pearson", "r2"), "classification": ("auroc", "auprc", "mcc")}
SCRATCH = {"family": "caduceus", "d_model": 32, "n_layer": 2, "rcps": True}


def with_groups(source: Path, target: Path, group: Any) -> list[str]:
    """Copy a table with a column ``group`` more, and return the groups in order."""
    names: dict[str, None] = {}
    with gzip.open(source, "rt", newline="") as text, target.open("w", newline="") as opened:
        rows = csv.DictReader(text, delimiter="\t")
        columns = [*(rows.fieldnames or ()), "group"]
        writer = csv.DictWriter(opened, columns, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            name = group(row)
            names[name] = None
            writer.writerow({**row, "group": name})
    return list(names)


def element(row: dict[str, str]) -> str:
    """The element of a measurement: several experiments were done on some."""
    found = SAME_ELEMENT.match(row["element"])
    return found[0] if found else row["element"]


def block(row: dict[str, str]) -> str:
    """The 10 kb that a variant lies in: neighbours share their history."""
    return f"block{int(row['pos']) // BLOCK}"


def sets(data: Path, work: Path) -> dict[str, dict[str, Any]]:
    """Return the ``data`` section of each set."""
    elements = with_groups(data / MPRA / "variants.tsv.gz", work / "mpra.tsv", element)
    blocks = with_groups(data / THOUSAND, work / "thousand.tsv", block)
    return {
        "mpra": {
            "train": work / "mpra.tsv",
            "fasta": data / MPRA / "elements.fa.gz",
            "chrom": "element",
            "label": "effect_log2",
            "kind": "regression",
            "stratum": "element",
            "test_groups": elements[::4],
        },
        "thousand_genomes": {
            "train": work / "thousand.tsv",
            "fasta": data / CHR20,
            "label": "label",
            "test_groups": blocks[::5],
        },
    }


def run(name: str, section: dict[str, Any], arguments: argparse.Namespace) -> None:
    """Train on one set and print its table."""
    model: dict[str, Any] = {"path": arguments.model} if arguments.model else dict(SCRATCH)
    if section.get("kind") == "regression":
        model["effect_antisymmetric"] = True
    recipe = FinetuneRecipe.model_validate(
        {
            "model": model,
            "task": "variant_effect",
            "data": {**section, "group": "group", "window": arguments.window},
            "train": {
                "epochs": 10,
                "batch_size": 32,
                "learning_rate": arguments.rate,
                "max_minutes": arguments.minutes,
                "seed": arguments.seed,
            },
            "output": arguments.out / name,
        }
    )
    finetune(recipe)
    found = json.loads((arguments.out / name / "metrics.json").read_text())
    names = SHOWN[recipe.data.kind]
    print(f"\n{name}: {found['test']['n']:,} held-out variants, {found['epochs']} epochs")
    print(f"{'':42}" + "".join(f"{metric:>10}" for metric in names))
    print_row("variant_effect", found["test"], names)
    for low_high in (0, 1):
        ends = {key: pair and pair[low_high] for key, pair in found.get("intervals", {}).items()}
        print_row(f"  95 % {'to' if low_high else 'from'}", ends, names)
    for row, figures in found["baselines"].items():
        print_row(row, figures, names)
    for row, strata in found.get("test_strata", {}).items():
        print_row(f"{row}, mean of {len(strata) - 1} experiments", strata["mean"], names)


def print_row(row: str, figures: dict[str, Any], names: Sequence[str]) -> None:
    """Print some figures of a row; an undefined one is a dash."""
    cells = ("-" if figures.get(one) is None else f"{figures[one]:.3f}" for one in names)
    print(f"{row:42}" + "".join(f"{cell:>10}" for cell in cells))


def main() -> None:
    """Run the sets that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("GENOLM_DATA"))
    parser.add_argument("--model", help="a trained model; else a small one from scratch")
    parser.add_argument("--sets", default="mpra,thousand_genomes")
    parser.add_argument("--window", type=int, default=64)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--minutes", type=float, default=0.7, help="of training, a set")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        arguments.out = arguments.out or Path(work)
        known = sets(Path(arguments.data), Path(work))
        for name in arguments.sets.split(","):
            run(name, known[name], arguments)


if __name__ == "__main__":
    main()
