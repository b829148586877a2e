"""Tasks of labelled variants: described in the recipe, judged as sequences are."""

import csv
import shutil

import numpy as np
import pytest

from genolm.evaluation.evaluate import evaluate
from genolm.evaluation.request import Request
from genolm.evaluation.results import ResultFile

RECIPE = """
seeds: 1
default:
  model: {family: caduceus, d_model: 8, n_layer: 1}
  train: {epochs: 1, batch_size: 16, precision: float32, threads: 1}
models: {scratch: {}}
tasks:
  effects:
    data: {train: train.tsv, fasta: genome.fa, label: label, group: chrom, window: 32}
"""


@pytest.fixture
def variants(tmp_path):
    """SNVs of three contigs in a folder of their own: to G or C is bad, to A or T is good."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "sets" / "effects"
    folder.mkdir(parents=True)
    contigs = {name: "".join(rng.choice(list("ACGT"), 600)) for name in ("I", "II", "III")}
    (folder / "genome.fa").write_text("".join(f">{n}\n{b}\n" for n, b in contigs.items()))
    rows = []
    for name, bases in contigs.items():
        for start in range(20, 580, 20):
            alt = next(base for base in rng.permutation(list("ACGT")) if base != bases[start])
            effect = {"A": 1.0, "T": 0.8, "C": -1.0, "G": -0.7}[alt]
            label = "good" if effect > 0 else "bad"
            rows.append((name, start + 1, bases[start], alt, label, effect))
    with (folder / "train.tsv").open("w", newline="") as opened:
        header = ("chrom", "pos", "ref", "alt", "label", "effect")
        csv.writer(opened, delimiter="\t").writerows([header, *rows])
    (tmp_path / "r.yaml").write_text(RECIPE)
    return tmp_path


def request(root, **options):
    return Request("variants", root / "sets", root / "out", recipe=str(root / "r.yaml"), **options)


def test_variants_are_judged_beside_their_own_baselines(variants):
    text = RECIPE.replace("window: 32", "window: 32, test_groups: [III]")
    (variants / "r.yaml").write_text(text)
    _, failures = evaluate(request(variants))
    assert failures == []
    rows = {name: variants / "out/effects" / name / "seed-1.json" for name in RECIPE_ROWS}
    found = {name: ResultFile(file).read() for name, file in rows.items()}
    assert found["trinucleotide"]["test"]["auroc"] > 0.7
    assert found["scratch"]["test"]["n"] == 28
    assert set(found["scratch"]["above"]) == {"trinucleotide", "kmer"}
    assert found["scratch"]["metric"] == "auroc"
    table = (variants / "out" / "table.md").read_text()
    assert "| effects | auroc | 28 |" in table
    assert evaluate(request(variants))[1] == []


RECIPE_ROWS = ("majority", "trinucleotide", "kmer", "scratch")


def test_folds_hold_whole_groups_out(variants):
    text = RECIPE.replace("label: label", "label: effect") + "    kind: regression\n"
    (variants / "r.yaml").write_text(text)
    _, failures = evaluate(request(variants, folds=3, baselines=["kmer"]))
    assert failures == []
    held = set()
    for fold in (1, 2, 3):
        folder = variants / "out" / "effects" / "scratch" / f"fold-{fold}"
        with (folder / "test_predictions.tsv").open() as opened:
            contigs = {row["chrom"] for row in csv.DictReader(opened, delimiter="\t")}
        assert len(contigs) == 1
        held |= contigs
    assert held == {"I", "II", "III"}
    with (variants / "out" / "table.csv").open() as opened:
        line = next(row for row in csv.DictReader(opened) if row["row"] == "scratch")
    assert (line["metric"], line["runs"]) == ("spearman", "3")


def test_several_names_of_one_group_are_held_out_together(variants):
    table = variants / "sets" / "effects" / "train.tsv"
    names = {"I": ("S1", "S1.2"), "II": ("S2", "S2-flip"), "III": ("S10", "S10")}
    heading, *rows = (line.split("\t") for line in table.read_text().splitlines())
    rows = [[*row, names[row[0]][int(row[1]) > 300]] for row in rows]
    with table.open("w", newline="") as opened:
        csv.writer(opened, delimiter="\t").writerows([[*heading, "element"], *rows])
    matched = "group: element, group_match: '[^.-]+', "
    text = RECIPE.replace("group: chrom, ", matched).replace("models: {scratch: {}}", "")
    (variants / "r.yaml").write_text(text)
    assert evaluate(request(variants, folds=3, baselines=["kmer"]))[1] == []
    files = [variants / "out" / "effects" / "kmer" / f"fold-{fold}.json" for fold in (1, 2, 3)]
    assert [ResultFile(file).read()["test"]["n"] for file in files] == [28] * 3
    shutil.rmtree(variants / "out")
    [failure] = evaluate(request(variants, folds=4, baselines=["kmer"]))[1]
    assert "too many for 3 groups" in failure.why


@pytest.mark.parametrize(
    ("old", "new", "options", "said"),
    [
        ("fasta: genome.fa, ", "", {}, "data.fasta"),
        ("window: 32", "window: 32", {}, "data.test is required"),
        ("train.tsv", "gone.tsv", {}, "gone.tsv"),
        ("window: 32", "test_groups: [IV]", {}, "no group 'IV'"),
        ("group: chrom, ", "", {"folds": 2}, "name them with data.group"),
        ("window: 32", "window: 32", {"folds": 4}, "too many for 3 groups"),
        ("window: 32", "window: 32", {"protocol": "paper-caduceus"}, "protocol clean only"),
    ],
)
def test_what_is_wrong_is_one_line(variants, old, new, options, said):
    (variants / "r.yaml").write_text(RECIPE.replace(old, new).replace("models: {scratch: {}}", ""))
    _, failures = evaluate(request(variants, baselines=["kmer"], **options))
    assert any(said in failure.why for failure in failures)
