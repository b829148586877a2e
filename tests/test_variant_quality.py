"""The benchmark of variant scores, on made sets whose answers are known."""

import csv
import functools
import gzip
import json
import os
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from genolm.genome.variant import Variant

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
MODULES = (
    "variant_statistics",
    "variant_sets",
    "variant_baselines",
    "variant_scoring",
    "variant_quality",
)


@pytest.fixture
def modules(monkeypatch):
    """The benchmark's files, importable for one test."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import variant_baselines
    import variant_quality
    import variant_sets
    import variant_statistics

    yield {
        module.__name__: module
        for module in (variant_statistics, variant_sets, variant_baselines, variant_quality)
    }
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture
def statistics(modules):
    return modules["variant_statistics"]


def test_auroc_is_that_of_scikit_learn_with_ties_and_weights(statistics):
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    labels, scores = rng.random(200) < 0.3, rng.integers(0, 9, 200).astype(float)
    weights = rng.integers(0, 4, 200).astype(float)
    found = statistics.auroc(labels, scores)(weights)
    assert found == pytest.approx(roc_auc_score(labels, scores, sample_weight=weights), abs=1e-12)
    assert np.isnan(statistics.auroc(np.ones(3, bool), np.arange(3.0))(np.ones(3)))


def test_spearman_is_that_of_scipy_and_0_for_a_constant(statistics):
    from scipy.stats import spearmanr

    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 20, 80).astype(float), rng.normal(size=80)
    assert statistics.spearman(first, second) == pytest.approx(spearmanr(first, second).statistic)
    assert statistics.spearman(first, first**3) == pytest.approx(1)
    assert statistics.spearman(np.ones(5), np.arange(5.0)) == 0


def test_intervals_cover_the_truth_and_know_about_groups(statistics):
    hits = {"rows": 0, "groups": 0}
    groups = np.repeat(np.arange(30), 10)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        values = np.repeat(rng.normal(size=30), 10)  # the rows of a group agree: mean 0
        for name, drawn in (("rows", np.arange(300)), ("groups", groups)):
            one = statistics.bootstrap(statistics.average(values), drawn, repeats=200)
            assert one.low <= one.value <= one.high
            hits[name] += not one.excludes(0.0)
    assert hits["groups"] >= 50  # 57 expected
    assert hits["rows"] < 35  # rows by themselves would make it look certain


def test_the_same_draws_make_the_difference_of_a_score_and_itself_nothing(statistics):
    rng = np.random.default_rng(2)
    one = statistics.auroc(rng.random(50) < 0.5, rng.normal(size=50))
    found = statistics.bootstrap(statistics.difference(one, one), np.arange(50) // 5)
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_ranks_within_a_group_start_anew(statistics):
    found = statistics.ranks_within(np.array([5.0, 1, 3, 100, 200]), np.array([0, 0, 0, 1, 1]))
    np.testing.assert_allclose(found, [5 / 6, 1 / 6, 0.5, 0.25, 0.75])
    assert (statistics.ranks_within(np.ones(5), np.array([0, 0, 0, 1, 1])) == 0.5).all()


def test_substitutions_are_told_apart(modules):
    own = modules["variant_baselines"]
    middle = np.array([[8, 8, 9], [8, 9, 7], [7, 8, 9], [7, 10, 7]], dtype=np.uint8)
    alts = np.array([10, 7, 7, 8], dtype=np.uint8)
    assert own.is_cpg_transition(middle, alts).tolist() == [True, True, False, False]
    assert own.is_transition(middle[:, 1], alts).tolist() == [True, True, False, True]
    assert own.gc_gained(middle[:, 1], alts).tolist() == [-1, -1, -1, 1]


def test_the_regression_learns_from_other_groups_and_reads_both_strands_alike(modules):
    own = modules["variant_baselines"]
    rng = np.random.default_rng(3)
    middle = rng.integers(7, 11, (600, 3)).astype(np.uint8)
    alts = (7 + (middle[:, 1] - 7 + rng.integers(1, 4, 600)) % 4).astype(np.uint8)
    labels = own.is_cpg_transition(middle, alts) | (rng.random(600) < 0.1)
    groups = np.arange(600) // 20
    found = own.held_out_regression(middle, alts, labels, groups)
    assert modules["variant_statistics"].auroc(labels, found)(np.ones(600)) > 0.6
    flipped = own.held_out_regression((17 - middle)[:, ::-1], 17 - alts, labels, groups)
    np.testing.assert_allclose(flipped, found)
    # A label that only its own group has cannot be known: nothing leaks.
    alone = own.held_out_regression(middle, alts, rng.permutation(30)[groups] < 15, groups)
    assert abs(modules["variant_statistics"].auroc(labels, alone)(np.ones(600)) - 0.5) < 0.15


def draw(seed, size):
    return "".join(np.array(list("ACGT"))[np.random.default_rng(seed).integers(0, 4, size)])


@pytest.fixture
def data(tmp_path):
    """A folder laid out as GENOLM_DATA is, with genomes and sets of a few variants."""
    rng = np.random.default_rng(5)
    folder = tmp_path / "data"
    genomes = {"X": draw(1, 4000), "20": draw(2, 30_000)}
    elements = {name: draw(3, 90) for name in ("SORT1", "SORT1.2", "OTHER")}
    for name, contigs in (
        ("genomes/human_GRCh37_chrX_1-70Mb.fa.gz", {"X": genomes["X"]}),
        ("genomes/human_hs37d5_chr20.fa.gz", {"20": genomes["20"]}),
        ("variants/mpra_satmut_kircher/elements.fa.gz", elements),
    ):
        write_fasta(folder / name, contigs)

    def alt(ref):
        return str(rng.choice([base for base in "ACGT" if base != ref]))

    rows = [
        {"element": name, "pos": at + 1, "ref": bases[at], "alt": alt(bases[at])}
        for name, bases in elements.items()
        for at in range(0, 90, 3)
    ]
    for row in rows:
        row |= {"effect_log2": rng.normal(), "pvalue": 10.0 ** -rng.integers(0, 9), "barcodes": 50}
    write_tsv(folder / "variants/mpra_satmut_kircher/variants.tsv.gz", rows)
    places = list(range(100, 29_000, 500))
    common = [
        {"chrom": "20", "pos": at + 1, "ref": (base := genomes["20"][at]), "alt": alt(base)}
        for at in places
    ]
    for row in common:
        row["label"] = int(rng.integers(0, 2))
    path = folder / "variants/thousand_genomes_chr20_1-2Mb/common_vs_singleton_snv.tsv.gz"
    write_tsv(path, common)
    lines = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    for number, (chrom, at) in enumerate([("20", 7), ("20", 900), ("X", 50), ("X", 3000)] * 2):
        place = at + number
        ref = genomes[chrom][place]
        info = f"LABEL={number % 2};GENE=G{number}"
        lines.append(f"{chrom}\t{place + 1}\t.\t{ref}\t{alt(ref)}\t.\t.\t{info}")
    clinvar = folder / "variants/clinvar_capice_chr20X/variants.vcf.gz"
    clinvar.parent.mkdir(parents=True)
    clinvar.write_bytes(gzip.compress("\n".join([*lines, ""]).encode()))
    return folder


def write_fasta(path, contigs):
    import pysam

    path.parent.mkdir(parents=True, exist_ok=True)
    plain = path.with_suffix("")
    plain.write_text("".join(f">{name}\n{bases}\n" for name, bases in contigs.items()))
    pysam.tabix_compress(str(plain), str(path))
    plain.unlink()


def write_tsv(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", newline="") as text:
        writer = csv.DictWriter(text, rows[0], delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def model_folder(tmp_path):
    from genolm.models.auto import TOKENIZERS
    from genolm.models.build import build_model

    options = {"d_model": 8, "n_layer": 1, "bidirectional": False, "training_length": 128}
    build_model("caduceus", "causal_lm", options, seed=1).save_pretrained(tmp_path / "tiny")
    TOKENIZERS["caduceus"]().save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.fixture
def run(modules, monkeypatch, data, tmp_path, capsys):
    """Run the script as a user does and return its stdout, stderr and JSON."""
    quality = modules["variant_quality"]
    baselines = modules["variant_baselines"]
    monkeypatch.setattr(quality, "learn_tables", lambda path: baselines.learn_tables(path, (0, 7)))
    fewer = functools.partial(quality.bootstrap, repeats=40)
    monkeypatch.setattr(quality, "bootstrap", fewer)
    monkeypatch.setenv("GENOLM_DATA", str(data))

    def call(*arguments):
        out = tmp_path / "out.json"
        argv = ["variant_quality.py", *map(str, arguments), "--json", str(out)]
        monkeypatch.setattr(sys, "argv", argv)
        quality.main()
        return (*capsys.readouterr(), json.loads(out.read_text()))

    return call


def test_a_model_stands_beside_its_baselines_and_is_scored_once(run, model_folder, tmp_path):
    arguments = (f"{model_folder}:llr,dist", "--cache", tmp_path / "cache")
    printed, logged, found = run(*arguments)
    assert "windows [90]" in logged  # an element is shorter than the model's 128
    assert list(found["sets"]) == ["mpra", "thousand_genomes", "clinvar"]
    mpra = found["sets"]["mpra"]
    assert (mpra["variants"], mpra["groups"]) == (90, 2)
    assert list(mpra["replicates"]) == ["SORT1 and SORT1.2"]
    for one in found["sets"].values():
        names = [(score["model"], score["score"]) for score in one["scores"]]
        assert names[:2] == [("tiny", "llr"), ("tiny", "dist")]
        assert ("", "Markov order 7") in names
        for score in one["scores"]:
            for column, numbers in score.items():
                if isinstance(numbers, dict):
                    assert numbers["low"] <= numbers["value"] <= numbers["high"], column
    llr = found["sets"]["clinvar"]["scores"][0]["AUROC"]
    assert f"| tiny: llr | {llr['value']:.3f}" in printed
    again, logged, same = run(*arguments)
    assert (again, same) == (printed, found)
    assert "windows" not in logged
    assert list(run(*arguments, "--sets", "clinvar")[2]["sets"]) == ["clinvar"]


def test_scores_are_those_of_genolm_score(modules, data, model_folder):
    from genolm import load
    from genolm.scoring import score_variants

    quality, sets = modules["variant_quality"], modules["variant_sets"]
    variants = next(sets.read_sets(data))
    [llr] = quality.score_set(quality.Run(str(model_folder), ("llr",), None, None), variants)
    expected = score_variants(
        *load(str(model_folder)), variants.variants, variants.genomes["OTHER"], ["llr"], window=90
    )
    np.testing.assert_allclose(llr.values, [one.llr for one in expected], atol=1e-5)


def test_the_script_says_what_it_lacks(monkeypatch, modules, capsys):
    monkeypatch.delenv("GENOLM_DATA", raising=False)
    monkeypatch.setattr(sys, "argv", ["variant_quality.py"])
    with pytest.raises(SystemExit, match="2"):
        runpy.run_path(str(BENCHMARKS / "variant_quality.py"), run_name="__main__")
    assert "GENOLM_DATA does not say where the sets are" in capsys.readouterr().err


@pytest.mark.skipif("GENOLM_DATA" not in os.environ, reason="needs the sets under GENOLM_DATA")
def test_the_real_sets_are_what_their_manifest_says(modules):
    sets = modules["variant_sets"].read_sets(Path(os.environ["GENOLM_DATA"]))
    mpra, thousand, clinvar = sets
    assert (len(mpra.variants), int(mpra.labels.sum())) == (31_369, 4_902)
    assert (len(mpra.experiment_names), mpra.groups.max() + 1) == (22, 16)
    assert (len(thousand.variants), int(thousand.labels.sum())) == (2_629 + 12_348, 2_629)
    assert (len(clinvar.variants), int(clinvar.labels.sum())) == (61, 32)
    assert clinvar.variants[0] == Variant("20", 485_825, "T", "C")
    cpg = modules["variant_baselines"].is_cpg_transition(
        thousand.contexts(1), np.array(["ACGT".index(v.alt) + 7 for v in thousand.variants])
    )
    auroc = modules["variant_statistics"].auroc(thousand.labels, cpg.astype(float))
    assert auroc(np.ones(len(cpg))) == pytest.approx(0.495, abs=0.0006)
