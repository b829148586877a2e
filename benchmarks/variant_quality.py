"""How well models tell variants apart without having been trained to, beside simple baselines.

    export GENOLM_DATA=DIR
    python benchmarks/variant_quality.py MODEL[:SCORES]... [--sets NAME...] [--window N]
        [--cache DIR] [--json OUT]

Prints a Markdown table for each set (see variant_sets.py): numbers with 95 % intervals of 1,000
bootstrap draws over distinct elements (MPRA), blocks of 10 kb (1000 Genomes) or genes (ClinVar). A
star stands where the interval excludes chance. Scores come from `genolm.scoring.score_variants`,
with the window that the model was trained on, or the whole contig where that is shorter.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import sklearn
import torch
from numpy.typing import NDArray
from variant_baselines import Score, baselines, learn_tables
from variant_scoring import Run, score_set
from variant_sets import NAMES, VariantSet, X, read_sets
from variant_statistics import (
    REPEATS,
    SEED,
    Estimate,
    Statistic,
    auroc,
    average,
    bootstrap,
    correlation,
    difference,
    ranks_within,
    spearman,
)

import genolm
from genolm.scoring.model_files import model_digest, model_name

WANTED = "llr,wild_type,dist,dist_cosine,dist_site,dist_site_cosine"
MARKOV = "Markov order 7"  # what differences are taken from, chosen before any model was scored
REPLICATES = (("SORT1", "SORT1.2"), ("TERT-HEK", "TERT-GBM"), ("ZRSh-13", "ZRSh-13h2"))

Row = dict[str, Estimate]
Measure = Callable[[Score, Score], Row]


def judge_mpra(variants: VariantSet) -> Measure:
    """Rank correlations with the effect, and AUROC of the significant ones."""
    effects, experiments = variants.effects, variants.experiments
    assert effects is not None
    assert experiments is not None
    inside = [experiments == number for number in range(len(variants.experiment_names))]
    groups = np.array([variants.groups[rows][0] for rows in inside])
    ranks = ranks_within(np.abs(effects), experiments)
    # How often PCR made a substitution decides how well it was measured: ranks among its like.
    kinds = 12 * experiments + variants.substitutions()
    kind_ranks = ranks_within(np.abs(effects), kinds)

    def by_experiment(measure: Callable[[NDArray[np.bool_]], float]) -> Statistic:
        return average(np.array([measure(rows) for rows in inside]))

    def measure(score: Score, markov: Score) -> Row:
        def unsigned(one: Score) -> Statistic:
            return by_experiment(lambda r: spearman(one.magnitude[r], np.abs(effects[r])))

        own = unsigned(score)
        pooled = correlation(ranks_within(score.magnitude, experiments), ranks)
        inner = ranks_within(score.magnitude, kinds)
        within = by_experiment(lambda r: correlation(inner[r], kind_ranks[r])(np.ones(r.sum())))
        found = {
            "rho(size, size of effect)": bootstrap(own, groups),
            f"above {MARKOV}": bootstrap(difference(own, unsigned(markov)), groups),
            "ranks pooled": bootstrap(pooled, variants.groups),
            "within substitutions": bootstrap(within, groups),
        }
        if score.kind == "ratio":
            signed = by_experiment(lambda r: spearman(score.values[r], effects[r]))
            found["rho(score, effect)"] = bootstrap(signed, groups)
        mean = by_experiment(
            lambda r: auroc(variants.labels[r], score.magnitude[r])(np.ones(r.sum()))
        )
        whole = auroc(variants.labels, score.magnitude)
        found["AUROC p<1e-5, mean"] = bootstrap(mean, groups)
        found["AUROC p<1e-5, pooled"] = bootstrap(whole, variants.groups)
        return found

    return measure


def judge_labels(variants: VariantSet, direction: int) -> Measure:
    """AUROC of the labels.

    Args:
        variants: The set.
        direction: 1 where the label means that ALT is likely and changes little, -1 where it
            means that it is unlikely and changes much.
    """

    def statistic(score: Score) -> Statistic:
        sign = {"ratio": direction, "distance": -direction}.get(score.kind, 1)
        return auroc(variants.labels, sign * score.values)

    def measure(score: Score, markov: Score) -> Row:
        own = statistic(score)
        return {
            "AUROC": bootstrap(own, variants.groups),
            f"above {MARKOV}": bootstrap(difference(own, statistic(markov)), variants.groups),
        }

    return measure


def judge(variants: VariantSet, scores: Sequence[Score]) -> list[tuple[Score, Row]]:
    """Return every score with its estimates."""
    measures = {
        "mpra": judge_mpra,
        "thousand_genomes": lambda given: judge_labels(given, 1),
        "clinvar": lambda given: judge_labels(given, -1),
    }
    measure = measures[variants.name](variants)
    [markov] = [one for one in scores if one.name == MARKOV]
    return [(one, measure(one, markov)) for one in scores]


def replicates(variants: VariantSet) -> dict[str, tuple[float, float, int]]:
    """Agreement of experiments on one element: of effects, of their sizes, and of how many."""
    effects, experiments = variants.effects, variants.experiments
    assert effects is not None
    assert experiments is not None
    measured: dict[str, dict[tuple[int, str], float]] = {}
    for one, effect, number in zip(variants.variants, effects, experiments, strict=True):
        name = variants.experiment_names[number]
        measured.setdefault(name, {})[one.start, one.alt] = float(effect)
    found = {}
    for first, second in REPLICATES:
        if first in measured and second in measured:
            both = sorted(measured[first].keys() & measured[second].keys())
            a, b = (np.array([measured[name][key] for key in both]) for name in (first, second))
            rho = spearman(a, b), spearman(np.abs(a), np.abs(b))
            found[f"{first} and {second}"] = (*rho, len(both))
    return found


def table(judged: Sequence[tuple[Score, Row]]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    columns = list(max((row for _, row in judged), key=len))
    yield "| | " + " | ".join(columns) + " |"
    yield "| --- |" + " --- |" * len(columns)
    for score, row in judged:
        name = f"{score.model}: {score.name}" if score.model else score.name
        yield f"| {name} | " + " | ".join(cell(key, row.get(key)) for key in columns) + " |"


def cell(column: str, found: Estimate | None) -> str:
    """Return a number with its interval, starred where that excludes chance."""
    if found is None:
        return "-"
    star = "*" if found.excludes(0.5 if column.startswith("AUROC") else 0.0) else ""
    return f"{found.value:.3f}{star} [{found.low:.3f}, {found.high:.3f}]"


def about(models: Sequence[str]) -> dict[str, Any]:
    """What the numbers come from."""
    return {
        "genolm": genolm.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
        "bootstrap": {"draws": REPEATS, "seed": SEED},
        "models": {model_name(name): model_digest(name) for name in models},
    }


def report(variants: VariantSet, judged: Sequence[tuple[Score, Row]]) -> dict[str, Any]:
    """Print a set and return it for JSON."""
    true, groups = int(variants.labels.sum()), len(np.unique(variants.groups))
    rows = len(variants.variants)
    print(f"\n## {variants.name}\n\n{rows} variants, {true} positive, {groups} groups\n")
    print("\n".join(table(judged)))
    agreement = replicates(variants) if variants.name == "mpra" else {}
    if agreement:
        print("\n| measured twice | rho(effect, effect) | rho(size, size) | variants |")
        print("| --- | --- | --- | --- |")
    for pair, (signed, unsigned, count) in agreement.items():
        print(f"| {pair} | {signed:.3f} | {unsigned:.3f} | {count} |")
    found = [
        {"model": one.model, "score": one.name, **{k: asdict(v) for k, v in row.items()}}
        for one, row in judged
    ]
    counts = {"variants": rows, "positive": true, "groups": groups}
    return {**counts, "scores": found, "replicates": agreement}


def parse_run(text: str, given: argparse.Namespace) -> Run:
    """Read a MODEL of the command line, such as ``runs/x/model`` or ``runs/x/model:llr,dist``."""
    model, _, scores = text.partition(":")
    return Run(model, tuple((scores or given.scores).split(",")), given.window, given.cache)


def main() -> None:
    """Score, judge and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help="folder or bundled name, and :SCORES if others than --scores are wanted of it",
    )
    parser.add_argument("--scores", default=WANTED, help="names, with commas between them")
    parser.add_argument("--sets", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--window", type=int, help="bases in all, instead of the model's own")
    parser.add_argument("--cache", type=Path, help="folder that keeps the models' scores")
    parser.add_argument("--json", type=Path, help="write all numbers here too")
    given = parser.parse_args()
    if "GENOLM_DATA" not in os.environ:
        parser.error("GENOLM_DATA does not say where the sets are")
    data = Path(os.environ["GENOLM_DATA"])
    runs = [parse_run(text, given) for text in given.models]
    facts = about([run.model for run in runs])
    print(f"```\n{json.dumps(facts, indent=1)}\n```")
    tables = learn_tables(data / X)
    results = {}
    for variants in read_sets(data, given.sets):
        scores = [one for run in runs for one in score_set(run, variants)]
        judged = judge(variants, scores + baselines(variants, tables))
        results[variants.name] = report(variants, judged)
    if given.json:
        given.json.write_text(json.dumps({"about": facts, "sets": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
