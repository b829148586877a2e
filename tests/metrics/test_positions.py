import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    matthews_corrcoef,
    precision_recall_fscore_support,
)

from genolm.metrics.intervals import Bootstrap, compare_counts
from genolm.metrics.local_kmers import draw_balanced, local_kmer_scores
from genolm.metrics.positions import class_figures, count_by_sequence, macro_f1
from genolm.metrics.weighted import weighted_counts


@pytest.fixture(params=[2, 3, 5])
def judged(request):
    """Labels and predictions of 40 sequences of different lengths, and where these begin."""
    rng = np.random.default_rng(request.param)
    bounds = np.cumsum([0, *rng.integers(1, 30, 40)])
    labels = rng.integers(0, request.param, bounds[-1])
    said = np.where(rng.random(len(labels)) < 0.6, labels, rng.integers(0, request.param))
    return labels, said, bounds, request.param


def test_counts_and_figures_are_scikit_learns(judged):
    labels, said, bounds, classes = judged
    counts = count_by_sequence(labels, said, bounds, classes)
    total = counts.sum(axis=0)
    assert (total == confusion_matrix(labels, said, labels=range(classes))).all()
    own = slice(bounds[7], bounds[8])
    assert (counts[7] == confusion_matrix(labels[own], said[own], labels=range(classes))).all()
    found = class_figures(total, tuple("ABCDE"[:classes]))
    wanted = precision_recall_fscore_support(labels, said, labels=range(classes))
    for i, name in enumerate(found):
        figures = [found[name][key] for key in ("precision", "recall", "f1", "n")]
        assert figures == pytest.approx([column[i] for column in wanted])
    assert macro_f1(total) == pytest.approx(f1_score(labels, said, average="macro"))


def test_a_weight_of_a_sequence_is_how_often_its_bases_count(judged):
    labels, said, bounds, classes = judged
    weights = np.random.default_rng(1).integers(0, 3, len(bounds) - 1)
    found = weighted_counts(count_by_sequence(labels, said, bounds, classes))(
        np.stack([np.ones(len(weights)), weights], axis=1)
    )
    repeated = np.repeat(np.arange(len(labels)), np.repeat(weights, np.diff(bounds)))
    for column, rows in enumerate((np.arange(len(labels)), repeated)):
        true, told = labels[rows], said[rows]
        binary = {"average": "binary"} if classes == 2 else {"average": "macro"}
        assert found["accuracy"][column] == pytest.approx(accuracy_score(true, told))
        assert found["mcc"][column] == pytest.approx(matthews_corrcoef(true, told))
        assert found["f1"][column] == pytest.approx(f1_score(true, told, **binary))
        assert found["f1_macro"][column] == pytest.approx(f1_score(true, told, average="macro"))


def test_figures_of_what_is_not_there_are_none():
    found = class_figures(np.array([[3, 0, 1], [0, 0, 0], [0, 0, 0]]), ("a", "b", "c"))
    assert found["b"] == {"precision": None, "recall": None, "f1": None, "n": 0}
    assert found["c"] == {"precision": 0.0, "recall": None, "f1": 0.0, "n": 0}
    assert macro_f1(np.array([[3, 0], [0, 0]])) == 1.0


def test_intervals_are_of_whole_sequences():
    # Each sequence is all right or all wrong: drawing bases would give a far narrower interval.
    right = np.arange(40) % 4 != 0
    counts = np.zeros((40, 2, 2), dtype=np.int64)
    counts[right, 0, 0] = counts[~right, 0, 1] = 500
    counts[:, 1, 1] = 1
    found = compare_counts({"model": counts, "same": counts}, bootstrap=Bootstrap(draws=400))
    low, high = found.intervals["model"]["accuracy"]
    assert low < 0.65 < 0.75 < 0.85 < high
    assert found.above["same"]["accuracy"] == (0.0, 0.0)


@pytest.fixture
def sites():
    """Sequences in which the base after GT, and no other, is of class 1."""
    rng = np.random.default_rng(0)

    def make(count):
        sequences = ["".join(rng.choice(list("ACGT"), 60)) for _ in range(count)]
        labels = [[int(s[i - 2 : i] == "GT") for i in range(60)] for s in sequences]
        return sequences, np.array(labels).ravel()

    return make


def test_a_motif_of_three_bases_is_found_whatever_the_case(sites):
    train, labels = sites(40)
    test, wanted = sites(10)
    scores = local_kmer_scores(train, labels, test, classes=2, seed=1)
    assert scores.shape == (600, 2)
    assert (scores.argmax(axis=1) == wanted).all()
    lower = local_kmer_scores(train, labels, [s.lower() for s in test], classes=2, seed=1)
    assert (lower == scores).all()


def test_scores_are_log_probabilities_and_a_seed_fixes_them(sites):
    train, labels = sites(40)
    one, again = (
        local_kmer_scores(train, labels, train, classes=3, seed=1, max_train=400) for _ in range(2)
    )
    assert np.exp(one).sum(axis=1) == pytest.approx(np.ones(len(labels)))
    assert (one[:, 2] == -30).all()
    assert (one == again).all()


def test_drawn_positions_are_of_all_classes_and_weigh_what_these_are_of_all():
    labels = np.random.default_rng(1).choice([0, 1, 4], 5000, p=[0.9, 0.08, 0.02])
    positions, weights = draw_balanced(labels, 900, seed=3)
    counts, drawn = np.bincount(labels), np.bincount(labels[positions])
    assert drawn.tolist() == np.minimum(counts, 300).tolist()
    assert len(np.unique(positions)) == len(positions)
    weighed = np.bincount(labels[positions], weights) / weights.sum()
    assert weighed == pytest.approx(counts / len(labels))
    assert weights.mean() == pytest.approx(1)


def test_positions_that_do_not_count_are_not_learned_from(sites):
    train, labels = sites(40)
    wrong = np.where(np.arange(len(labels)) % 3 == 0, -100, labels)
    positions, weights = draw_balanced(wrong, 900, seed=3)
    assert (wrong[positions] >= 0).all()
    weighed = np.bincount(wrong[positions], weights) / weights.sum()
    assert weighed == pytest.approx(np.bincount(wrong[wrong >= 0]) / (wrong >= 0).sum())
    scores = local_kmer_scores(train, wrong, train, classes=2, seed=1)
    assert scores.shape == (len(labels), 2)
    right = scores.argmax(axis=1) == labels
    assert right[wrong >= 0].all()
    assert right.mean() > 0.99
