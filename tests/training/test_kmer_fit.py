"""Classifiers with a k-mer term: fitted on the train part, and part of the model from then on."""

import csv

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from genolm import load
from genolm.errors import UsageError
from genolm.metrics.baselines import kmer_scores
from genolm.training.finetune import finetune
from genolm.training.finetuning import prepare
from genolm.training.kmer_fit import fit_kmers
from genolm.training.labelled_parts import LabelledPart
from genolm.training.pretrain import pretrain
from tests.training.outcomes import metrics, predictions, same, weights

MODEL = {"family": "caduceus", "d_model": 8, "n_layer": 1, "bidirectional": False, "kmers": 3}


def ids_of(sequences):
    return torch.tensor([["ACGT".index(base) + 7 for base in bases] for bases in sequences])


def test_the_term_alone_says_what_the_baseline_says(finetuning):
    with prepare(finetuning(model=MODEL | {"kmers": 6}, train={"rc": "none"}), "cpu") as session:
        fit_kmers(session)
        known, asked = session.parts.train, session.parts.test
        found = session.model.kmer_term.eval()(ids_of(asked.rows.sequences)).log_softmax(dim=1)
        sets = (known.rows.sequences, known.targets, asked.rows.sequences, asked.targets)
        wanted = kmer_scores(*sets, task="classification", seed=1)
        np.testing.assert_allclose(found.numpy(), wanted, atol=1e-5)


def test_what_is_shown_of_a_row_while_training_does_not_know_its_label(finetuning):
    def shown(session, part):
        object.__setattr__(session.parts, "train", part)
        fit_kmers(session)
        term = session.model.kmer_term
        counts = term.count(ids_of(part.rows.sequences[:1]))
        fold = int(term.fold(counts))
        said = term.weigh(counts) @ term.fold_weights[fold] + term.fold_biases[fold]
        return said, term.eval()(ids_of(part.rows.sequences[:1]))

    with prepare(finetuning(model=MODEL), "cpu") as session:
        part = session.parts.train
        other = part.targets.copy()
        other[0] = 1 - other[0]
        before, knows = shown(session, part)
        after, knew = shown(session, LabelledPart(part.rows, other))
    # The rarity of words does not depend on labels, nor does a regression that left the row out.
    assert before.equal(after)
    assert (knows - knew).abs().max() > 1e-3


@pytest.mark.parametrize("rc", ["none", "augment", "conjoin", "conjoin_eval"])
def test_both_strands_count_where_the_labels_are_of_both(finetuning, rc):
    with prepare(finetuning(model=MODEL, train={"rc": rc}), "cpu") as session:
        assert session.model.config.kmer_strands == (1 if rc == "none" else 2)
        assert session.model.kmer_term.both == (rc != "none")


@pytest.mark.parametrize(("head", "strands"), [(None, 2), ("invariant", 2), ("oriented", 1)])
def test_an_equivariant_model_counts_both_unless_its_head_is_oriented(finetuning, head, strands):
    model = {"family": "caduceus", "d_model": 8, "n_layer": 1, "rcps": True, "kmers": 3}
    with prepare(finetuning(model=model, train={"head": head}), "cpu") as session:
        assert session.model.config.kmer_strands == strands


def test_what_is_asked_for_is_counted(finetuning):
    with prepare(finetuning(model=MODEL | {"kmer_strands": 2}), "cpu") as session:
        assert session.model.kmer_term.both


def test_resuming_equals_not_stopping_and_the_folder_keeps_the_term(
    finetuning, tmp_path, power_cut
):
    train = {"rc": "conjoin_eval", "epochs": 3}
    whole, stopped = (
        finetuning(model=MODEL, train=train, output=tmp_path / name) for name in ("one", "two")
    )
    finetune(whole)
    with power_cut(5):
        finetune(stopped)
    finetune(stopped)
    assert same(weights(whole), weights(stopped))
    assert metrics(whole)["test"] == metrics(stopped)["test"]
    tensors = weights(whole)
    assert tensors["kmer_term.weight"].shape == (84, 2)
    assert tensors["kmer_term.weight"].abs().sum() > 0
    learned = sum(v.numel() for v in tensors.values()) - tensors["kmer_term.rarity"].numel()
    assert metrics(whole)["parameters"] == learned

    model, _ = load(whole.output / "model")
    with whole.data.test.open() as file:
        ids = ids_of([row["sequence"] for row in csv.DictReader(file)])
    both = torch.stack([ids, (17 - ids).flip(1)], dim=-1)
    with torch.no_grad():
        shares = model(both).logits.softmax(dim=1)
    told = [float(row["p_cg"]) for row in predictions(whole)]
    assert told == pytest.approx(shares[:, 1].tolist(), rel=1e-4)


def test_a_classifier_may_get_lose_or_refit_its_term(finetuning, tmp_path):
    first = finetuning(model={k: v for k, v in MODEL.items() if k != "kmers"})
    finetune(first)
    folder = first.output / "model"
    for name, kmers in (("got", 4), ("kept", None), ("lost", 0)):
        options = {} if kmers is None else {"kmers": kmers}
        recipe = finetuning(model={"path": folder} | options, output=tmp_path / name)
        finetune(recipe)
        folder = recipe.output / "model"
        assert ("kmer_term.weight" in weights(recipe)) == (name != "lost")


def test_a_term_stays_exact_in_a_narrow_model(finetuning):
    recipe = finetuning(model=MODEL)
    finetune(recipe)
    wide, narrow = (load(recipe.output / "model", dtype=kind)[0] for kind in (None, "bfloat16"))
    ids = torch.randint(7, 11, (4, 20), generator=torch.Generator().manual_seed(0))
    assert wide.kmer_term(ids).equal(narrow.kmer_term(ids))
    with pytest.raises(ValueError, match="counts k-mers: it needs input_ids"):
        wide(inputs_embeds=torch.zeros(1, 5, 8))


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_values_and_many_labels_have_a_term(finetuning, write_table, tmp_path, task):
    rng = np.random.default_rng(0)
    sequences = ["".join(rng.choice(list("ACGT"), 30)) for _ in range(60)]
    shares = [sequence.count("G") for sequence in sequences]
    labels = shares if task == "regression" else [f"{int(n > 7)}{int(n > 5)}" for n in shares]
    rows = list(zip(sequences, labels, strict=True))
    columns = ("sequence", "label")
    if task == "multilabel":
        rows = [(sequence, *label) for sequence, label in rows]
        columns = ("sequence", "many", "some")
    train = write_table(tmp_path / "a.csv", rows[:40], columns)
    test = write_table(tmp_path / "b.csv", rows[40:], columns)
    data = {"train": train, "test": test}
    if task == "multilabel":
        data["label"] = ["many", "some"]
    recipe = finetuning(model=MODEL, data=data, task=task, train={"rc": "none"})
    finetune(recipe)
    assert weights(recipe)["kmer_term.weight"].abs().sum() > 0


@pytest.mark.parametrize(("kmers", "said"), [(9, "kmers must be 0"), (-1, "kmers must be 0")])
def test_words_have_a_length_that_can_be_counted(finetuning, kmers, said):
    with (
        pytest.raises(UsageError, match=said),
        prepare(finetuning(model=MODEL | {"kmers": kmers}), "cpu"),
    ):
        pass


@pytest.mark.parametrize("option", ["kmers", "pool_segments"])
def test_what_only_whole_sequences_have_is_refused_elsewhere(variant_effect, pretraining, option):
    model = {name: value for name, value in MODEL.items() if name != "kmers"} | {option: 3}
    with pytest.raises(UsageError, match=rf"model\.{option} is not an option"):
        finetune(variant_effect(model=model))
    with pytest.raises(UsageError, match=rf"model\.{option} is not an option"):
        pretrain(pretraining(model=model, objective="causal_lm"))


def test_pretraining_on_the_own_sequences_leaves_the_term_to_the_classifier(finetuning):
    recipe = finetuning(model=MODEL, train={"self_pretrain": {"epochs": 1}, "epochs": 1})
    finetune(recipe)
    own = load_file(recipe.output / "self_pretraining" / "model" / "model.safetensors")
    assert not any(name.startswith("kmer_term") for name in own)
    assert weights(recipe)["kmer_term.weight"].abs().sum() > 0
