from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from genolm.data.labelled_set import LabelledSet
from genolm.data.labels import LabelSpace
from genolm.errors import UsageError
from genolm.evaluation.probes import KINDS, STRENGTHS, probe
from genolm.genome.sequence import reverse_complement
from genolm.models import build_model
from genolm.scoring.layer_embeddings import LayerEmbedder
from genolm.training.labelled_parts import LabelledPart, LabelledParts

SHARES = {"at": [0.4, 0.1, 0.1, 0.4], "cg": [0.1, 0.4, 0.4, 0.1]}


def labelled(count, seed, label):
    """Sequences of 20 to 40 bases; their labels by a function of name and sequence."""
    rng = np.random.default_rng(seed)
    sequences, labels = [], []
    for number in range(count):
        name = ("at", "cg")[number % 2]
        bases = "".join(rng.choice(list("ACGT"), rng.integers(20, 40), p=SHARES[name]))
        sequences.append(bases)
        labels.append(label(name, bases))
    return LabelledSet("toy", sequences, labels, ["toy"] * count, list(range(count)))


LABELS = {
    "classification": lambda name, bases: name,
    "multilabel": lambda name, bases: ";".join([name] + ["gg"] * ("GG" in bases)),
    "regression": lambda name, bases: str((bases.count("G") + bases.count("C")) / len(bases)),
}


def make_parts(task="classification"):
    sets = [labelled(count, seed, LABELS[task]) for seed, count in enumerate((90, 30, 40))]
    whole = labelled(1, 9, LABELS[task])
    whole = replace(
        whole,
        sequences=sets[0].sequences + sets[1].sequences,
        labels=sets[0].labels + sets[1].labels,
        files=["toy"] * 120,
        lines=list(range(120)),
    )
    space = LabelSpace.learn(whole, task)
    train, valid, test, learned = (
        LabelledPart(rows, space.encode(rows)) for rows in (*sets, whole)
    )
    return LabelledParts(space, train, valid, test, learned)


@pytest.fixture(scope="module")
def model():
    return build_model("caduceus", "masked_lm", {"d_model": 8, "n_layer": 2}, seed=1)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_reads_an_easy_label(model, kind):
    found = probe(model, make_parts(), task="classification", kinds=[kind])
    assert found.choice.kind == kind
    assert found.test["accuracy"] > 0.85
    assert found.test["n"] == 40
    assert found.scores.shape == (40, 2)


@pytest.mark.parametrize("kind", ["linear", "knn"])
@pytest.mark.parametrize(("task", "metric"), [("multilabel", "auroc"), ("regression", "spearman")])
def test_several_labels_and_values_are_read(model, task, metric, kind):
    found = probe(model, make_parts(task), task=task, kinds=[kind], layers=[-1])
    assert found.test[metric] > 0.6
    assert found.by_layer.keys() == {found.choice.layer}


def test_a_probe_is_scikit_learns_learner_on_the_embeddings(model):
    parts = make_parts()
    found = probe(model, parts, task="classification", layers=[1])
    embedder = LayerEmbedder(model)
    train, test = (
        embedder.embed_layers(part.rows.sequences)[1] for part in (parts.learned, parts.test)
    )
    learner = make_pipeline(StandardScaler(), LogisticRegression(C=found.choice.strength))
    learner.fit(train, parts.learned.targets)
    expected = learner.predict_proba(test)
    np.testing.assert_allclose(np.exp(found.scores), expected, rtol=1e-3, atol=1e-4)


def test_the_test_part_chooses_nothing(model):
    parts = make_parts()
    other = replace(parts, test=replace(parts.test, targets=1 - parts.test.targets))
    kinds = ["linear", "knn"]
    found = probe(model, parts, task="classification", kinds=kinds)
    again = probe(model, other, task="classification", kinds=kinds)
    assert found.choice == again.choice
    np.testing.assert_array_equal(found.scores, again.scores)
    assert again.test["accuracy"] == pytest.approx(1 - found.test["accuracy"])


def test_the_best_on_the_held_out_rows_is_taken(model):
    found = probe(model, make_parts(), task="classification", kinds=["linear", "knn"])
    assert found.chosen_by == "accuracy"
    assert len(found.by_layer) == LayerEmbedder(model).layers
    assert found.by_layer[found.choice.layer] == max(found.by_layer.values())
    assert found.valid["accuracy"] == max(found.by_layer.values())
    assert found.choice.strength in STRENGTHS[found.choice.kind]


def test_rows_held_out_by_the_user_are_not_learned_from(model, monkeypatch):
    monkeypatch.setitem(STRENGTHS, "linear", (1.0,))
    parts = make_parts()
    given = replace(parts, learned=parts.train)
    flipped = replace(given, valid=replace(given.valid, targets=1 - given.valid.targets))
    kept, other, joined = (
        probe(model, one, task="classification", layers=[1]) for one in (given, flipped, parts)
    )
    np.testing.assert_array_equal(kept.scores, other.scores)
    assert other.valid["accuracy"] == pytest.approx(1 - kept.valid["accuracy"])
    assert not np.allclose(kept.scores, joined.scores)


def test_with_both_strands_the_strand_of_a_row_does_not_matter(model):
    parts = make_parts()
    turned = [reverse_complement(bases) for bases in parts.test.rows.sequences]
    rows = replace(parts.test.rows, sequences=turned)
    other = replace(parts, test=replace(parts.test, rows=rows))
    options = {"task": "classification", "layers": [-1], "both_strands": True}
    found, again = (probe(model, one, **options) for one in (parts, other))
    np.testing.assert_allclose(found.scores, again.scores, atol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kinds": ["svm"]}, "choose from linear, knn, mlp"),
        ({"layers": [9]}, r"layer 9: this model has \d, 0 to \d"),
        ({"chosen_by": "r2"}, "choose from accuracy"),
    ],
    ids=["kind", "layer", "metric"],
)
def test_what_there_is_not_is_refused(model, wrong, message):
    with pytest.raises(UsageError, match=message):
        probe(model, make_parts(), task="classification", **wrong)
