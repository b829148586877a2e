import csv
import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from genolm.metrics.baselines import (
    kmer_baseline,
    length_baseline,
    majority_rate,
    task_metrics,
)

KEYS = ["accuracy", "mcc", "auroc", "auprc", "f1"]


def planted(seed, rows, words=("GATTACA", "CCGGCCA"), length=80):
    """Random DNA with the word of its class three times in it."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(words), rows)
    sequences = []
    for label in labels:
        bases = rng.choice(list("ACGT"), length)
        for slot in range(3):
            at = slot * 25 + rng.integers(0, 15)
            bases[at : at + 7] = list(words[label])
        sequences.append("".join(bases))
    return sequences, labels


def test_majority_is_the_best_constant_answer_known_from_train():
    assert majority_rate([0, 0, 1], [1, 1, 1, 0]) == 0.75
    assert majority_rate([0, 1], [2, 2, 2, 0]) == 0.25
    assert majority_rate([0], [1]) == 0.0


def test_majority_of_several_labels_is_their_mean():
    assert majority_rate([[0, 1], [1, 0]], [[0, 1], [0, 1], [0, 0], [0, 0]]) == 0.75


def test_kmers_find_planted_words():
    found = kmer_baseline(*planted(1, 300), *planted(2, 200), task="classification", seed=0)
    assert list(found) == KEYS
    assert found["accuracy"] > 0.95


def test_kmers_find_nothing_where_nothing_is():
    (train, _), (test, _) = planted(3, 300), planted(4, 300)
    rng = np.random.default_rng(5)
    labels = [rng.integers(0, 2, 300) for _ in range(2)]
    found = kmer_baseline(train, labels[0], test, labels[1], task="classification", seed=0)
    assert abs(found["auroc"] - 0.5) < 0.1


def test_case_does_not_matter_and_unknown_bases_break_words():
    train, test = planted(6, 150), planted(7, 100)
    plain = kmer_baseline(*train, *test, task="classification", seed=0)
    lower = kmer_baseline(
        *train, [s.lower() for s in test[0]], test[1], task="classification", seed=0
    )
    assert lower == plain
    hidden = ["N" * len(sequence) for sequence in test[0]]
    blind = kmer_baseline(*train, hidden, test[1], task="classification", seed=0)
    assert blind["auroc"] == 0.5


def test_training_rows_are_drawn_by_seed():
    train, test = planted(8, 400), planted(9, 200)
    few = [
        kmer_baseline(*train, *test, task="classification", seed=seed, max_train=30)
        for seed in (1, 1, 2)
    ]
    assert few[0] == few[1] != few[2]


def test_three_classes_and_one_that_only_the_test_set_has():
    words = ("GATTACA", "CCGGCCA", "TGTGTAT")
    sequences, labels = planted(10, 300, words)
    known = labels < 2
    train = [s for s, keep in zip(sequences, known, strict=True) if keep]
    found = kmer_baseline(train, labels[known], sequences, labels, task="classification", seed=0)
    assert found["accuracy"] == pytest.approx(known.mean(), abs=0.05)
    assert None not in found.values()


def test_multilabel_reads_every_label_and_survives_a_constant_one():
    train, test = planted(11, 200), planted(12, 150)
    columns = [np.column_stack([y, 1 - y, np.zeros_like(y)]) for y in (train[1], test[1])]
    found = kmer_baseline(train[0], columns[0], test[0], columns[1], task="multilabel", seed=0)
    assert found["accuracy"] > 0.95
    assert found["auroc"] > 0.95


def test_regression_follows_the_planted_word():
    train, test = planted(13, 400), planted(14, 200)
    found = kmer_baseline(
        train[0], train[1] * 3.0, test[0], test[1] * 3.0, task="regression", seed=0
    )
    assert list(found) == ["mse", "r2", "pearson", "spearman"]
    assert found["r2"] > 0.5


def test_length_alone_is_found_and_only_length():
    rng = np.random.default_rng(15)
    labels = rng.integers(0, 3, 300)
    sequences = ["A" * (50 * (1 + label) + int(rng.integers(0, 20))) for label in labels]
    found = length_baseline(sequences, labels, sequences, labels, task="classification")
    assert found["accuracy"] == 1.0
    equal = length_baseline(*planted(16, 100), *planted(17, 100), task="classification")
    assert equal["auroc"] == 0.5


def test_length_baseline_of_values():
    lengths = np.arange(10, 110)
    sequences = ["C" * n for n in lengths]
    found = length_baseline(sequences, lengths, sequences, lengths, task="regression")
    assert found["r2"] > 0.95


@pytest.mark.parametrize(
    ("train", "labels", "task", "message"),
    [
        (["ACGT" * 5] * 2, [1, 1], "classification", "single class"),
        ([], [], "classification", "no training rows"),
        (["ACGT" * 5] * 2, [0, 1], "ranking", "choose one of"),
    ],
)
def test_what_cannot_be_learned_is_an_error(train, labels, task, message):
    with pytest.raises(ValueError, match=message):
        kmer_baseline(train, labels, ["ACGT"], [0], task=task, seed=0)
    with pytest.raises(ValueError, match=message):
        length_baseline(train, labels, ["ACGT"], [0], task=task)


def test_each_task_has_its_metrics():
    assert list(task_metrics([0, 1], [[1.0, 0.0], [0.0, 1.0]], task="classification")) == KEYS
    assert list(task_metrics([[0, 1]], [[-1.0, 1.0]], task="multilabel")) == KEYS
    assert task_metrics([1.0, 2.0], [1.0, 2.0], task="regression")["mse"] == 0.0


def read_set(name):
    folder = os.environ.get("GENOLM_DATA")
    path = Path(folder or "") / "classification" / name
    if not folder or not path.is_dir():
        pytest.skip(f"needs GENOLM_DATA with classification/{name}")
    parts = []
    for part in ("train", "test"):
        with gzip.open(path / f"{part}.csv.gz", "rt") as file:
            rows = list(csv.DictReader(file))
        parts += [[row["sequence"] for row in rows], [int(row["label"]) for row in rows]]
    return parts


@pytest.mark.parametrize(
    ("name", "accuracy", "mcc", "auroc"),
    [
        ("yeast_promoters_derived", 0.895, 0.790, 0.953),
        ("gb_demo_coding_vs_intergenomic_seqs_chr20X", 0.801, 0.604, 0.891),
    ],
)
def test_kmers_are_no_weaker_than_published_kmer_baselines(name, accuracy, mcc, auroc):
    found = kmer_baseline(*read_set(name), task="classification", seed=1)
    assert found["accuracy"] > accuracy - 0.005
    assert found["mcc"] > mcc - 0.01
    assert found["auroc"] > auroc - 0.005


def test_length_alone_solves_a_set_whose_classes_differ_in_length():
    rows = read_set("gb_human_ensembl_regulatory_chr20")
    found = length_baseline(*rows, task="classification")
    assert found["accuracy"] == pytest.approx(0.908, abs=0.01)
