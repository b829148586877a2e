"""The variants that the bundled model is measured on are what they are said to be."""

import importlib
import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from Bio.Seq import Seq
from sklearn.metrics import roc_auc_score

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
STOPS = {"TAA", "TAG", "TGA"}


@pytest.fixture(scope="module")
def scripts():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPTS)
        names = ("bundled_variants", "bundled_auroc", "demo_orfs")
        yield {name: importlib.import_module(name) for name in names}


def random_gene(rng, codons=320):
    inner = [
        "".join(word) for word in itertools.product("ACGT", repeat=3) if "".join(word) not in STOPS
    ]
    return "ATG" + "".join(rng.choice(inner, codons)) + "TAA"


@pytest.fixture(scope="module")
def genome(scripts):
    """Bases, and the genes in them: one on each strand."""
    rng = np.random.default_rng(4)
    flanks = ["".join(rng.choice(list("ACGT"), 211)) for _ in range(3)]
    first, second = random_gene(rng), random_gene(rng)
    bases = flanks[0] + first + flanks[1] + str(Seq(second).reverse_complement()) + flanks[2]
    orf = scripts["demo_orfs"].Orf
    start = 422 + len(first)
    return bases, [orf(211, 211 + len(first), "+"), orf(start, start + len(second), "-")]


@pytest.fixture(scope="module")
def chosen(scripts, genome):
    bases, genes = genome
    usable = np.ones(len(bases), dtype=bool)
    return scripts["bundled_variants"].choose_variants("c", bases, genes, usable)


def before_and_after(bases, one):
    """The gene on its own strand without and with the variant, and where they differ."""
    variant, gene = one.variant, one.gene
    assert bases[variant.start] == variant.ref != variant.alt
    changed = bases[: variant.start] + variant.alt + bases[variant.start + 1 :]
    pair = [text[gene.start : gene.end] for text in (bases, changed)]
    if gene.strand == "-":
        pair = [str(Seq(text).reverse_complement()) for text in pair]
    [place] = [i for i, (a, b) in enumerate(zip(*pair, strict=True)) if a != b]
    return *pair, place


def test_every_gene_gives_two_of_each_kind(chosen, scripts):
    counts = Counter((one.gene.start, one.kind) for one in chosen)
    assert set(counts.values()) == {scripts["bundled_variants"].PER_GENE}
    assert len(counts) == 2 * len(scripts["bundled_variants"].KINDS)


def test_each_kind_does_to_the_protein_what_its_name_says(genome, chosen):
    for one in chosen:
        old, new, _ = before_and_after(genome[0], one)
        old_protein, new_protein = (str(Seq(text).translate(table=11)) for text in (old, new))
        assert old_protein.index("*") == len(old_protein) - 1
        cut = new_protein.index("*") < len(new_protein) - 1
        assert cut == (one.kind == "stop_gain")
        if one.kind in ("synonymous", "missense"):
            assert (old_protein == new_protein) == (one.kind == "synonymous")


def test_out_of_frame_variants_make_the_same_change_off_the_frame(genome, chosen):
    words = {}
    for one in chosen:
        old, new, place = before_and_after(genome[0], one)
        before, after = one.words.split(">")
        phases = {
            start % 3
            for start in range(place - 2, place + 1)
            if old[start : start + 3] == before and new[start : start + 3] == after
        }
        if one.kind == "stop_gain":
            assert 0 in phases
        if one.kind == "out_of_frame":
            assert phases <= {1, 2}
            assert phases
            assert after in STOPS
        words.setdefault((one.gene.start, one.kind), []).append(one.words)
    for (gene, kind), found in words.items():
        if kind == "stop_gain":
            assert sorted(found) == sorted(words[gene, "out_of_frame"])


def test_positions_that_may_not_be_used_are_left_alone(scripts, genome):
    bases, genes = genome
    usable = np.zeros(len(bases), dtype=bool)
    usable[genes[0].start : genes[0].end] = True
    found = scripts["bundled_variants"].choose_variants("c", bases, genes, usable)
    assert {one.gene.start for one in found} == {genes[0].start}


def test_surroundings_with_a_repeat_are_not_usable(scripts):
    rng = np.random.default_rng(1)
    bases = "".join(rng.choice(list("ACGT"), 900))
    repeated = bases[:600] + str(Seq(bases[200:240]).reverse_complement()) + bases[600:]
    orfs = scripts["demo_orfs"]
    unique = orfs.unique_words(orfs.as_numbers(repeated))
    usable = scripts["bundled_variants"].seen_once(unique, len(repeated))
    # A repeat of 40 bases holds nine words of 32.
    twice = {start + offset for start in (200, 600) for offset in range(9)}
    expected = [
        100 <= i < len(repeated) - 100 and twice.isdisjoint(range(i - 100, i + 100 - 32 + 1))
        for i in range(len(repeated))
    ]
    assert usable.tolist() == expected


def test_genes_that_share_words_with_the_training_are_left_out(scripts, genome):
    bases, genes = genome
    orfs, variants = scripts["demo_orfs"], scripts["bundled_variants"]
    piece = str(Seq(bases[genes[0].start + 50 : genes[0].start + 82]).reverse_complement())
    known = orfs.canonical_words(orfs.as_numbers(piece))
    assert variants.genes_without_words(bases, genes, known) == [genes[1]]
    shorter = orfs.canonical_words(orfs.as_numbers("A" * 32))
    assert variants.genes_without_words(bases, genes, shorter) == genes


@pytest.mark.parametrize(
    ("frame", "right"),
    [
        ("ATG" + "GCA" * 300 + "TAA", True),
        ("TTG" + "GCA" * 300 + "TGA", True),
        ("ATG" + "GCA" * 200 + "TAA", False),
        ("CTG" + "GCA" * 300 + "TAA", False),
        ("ATG" + "GCA" * 300 + "GCA", False),
        ("ATG" + "GCA" * 100 + "TAG" + "GCA" * 200 + "TAA", False),
        ("ATG" + "GCA" * 300 + "G" + "TAA", False),
    ],
)
def test_a_gene_runs_from_a_start_to_its_only_stop(scripts, frame, right):
    assert scripts["bundled_variants"].is_gene(frame) is right


def test_areas_are_those_of_scikit_learn_and_lie_in_their_intervals(scripts, monkeypatch):
    monkeypatch.setattr(scripts["bundled_auroc"], "DRAWS", 200)
    rng = np.random.default_rng(0)
    genes = np.tile(np.arange(30), 8)
    kinds = np.repeat(np.array(scripts["bundled_variants"].KINDS), 60)
    values = rng.normal(size=240).round(1) - (kinds == "stop_gain")
    scores = {"model": values, "order_3": rng.normal(size=240), "order_5": np.zeros(240)}
    found = scripts["bundled_auroc"].aurocs(kinds, genes, scores)
    for (less, more), result in zip(
        scripts["bundled_auroc"].CONTRASTS, found.values(), strict=True
    ):
        both = np.isin(kinds, [less, more])
        for name, score in scores.items():
            expected = roc_auc_score(kinds[both] == less, -score[both])
            assert result[name]["auroc"] == pytest.approx(expected, abs=1e-4)
            low, high = result[name]["interval"]
            assert low <= expected <= high
    assert found["stop_gain:synonymous"]["model"]["lead"][0] > 0
    assert found["stop_gain:synonymous"]["order_5"] == {"auroc": 0.5, "interval": [0.5, 0.5]}
