import numpy as np
import pytest
import torch

from genolm.errors import UsageError
from genolm.genome.sequence import reverse_complement
from genolm.models.build import build_model
from genolm.scoring.predict import SequencePredictor
from genolm.tokenization.encode import encode

SEQUENCES = ["ACGTTGCA", "acgtNNT", "GATTACAGATTACAGATTACA", "T", "ACGTTGCAC"]
LENGTH = 12


def classifier(**options):
    sizes = {"d_model": 16, "n_layer": 1, "training_length": LENGTH}
    model = build_model("caduceus", "classification", {**sizes, **options}, seed=5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "embedding" in name or name.startswith("score"):
                parameter.mul_(20)
    return model.double().eval()


def padded(text):
    ids = np.full(LENGTH, 4)
    kept = encode(text).ids[:LENGTH]
    ids[LENGTH - len(kept) :] = kept
    return torch.from_numpy(ids)


def values(model, sequences=SEQUENCES, **options):
    return SequencePredictor(model, **options).predict(sequences)


def test_a_class_is_predicted_with_the_probability_of_every_class():
    model = classifier(num_labels=3, id2label={0: "exon", 1: "intron", 2: "none"})
    predictor = SequencePredictor(model)
    assert [column.name for column in predictor.columns] == [
        "prediction", "p_exon", "p_intron", "p_none",
    ]  # fmt: skip
    for text, (label, *chances) in zip(SEQUENCES, predictor.predict(SEQUENCES), strict=True):
        with torch.no_grad():
            logits = model(padded(text)[None]).logits[0]
        assert chances == pytest.approx(torch.softmax(logits, 0).tolist())
        assert label == ["exon", "intron", "none"][int(logits.argmax())]


def test_sequences_are_cut_at_the_length_of_training_and_counted():
    predictor = SequencePredictor(classifier(num_labels=2))
    first, second = predictor.predict(["ACGTACGTACGTAAAA", "ACGTACGTACGT"])
    assert first == second
    assert predictor.truncated == 1


def test_several_labels_are_joined():
    model = classifier(num_labels=3, problem_type="multi_label_classification")
    for text, (labels, *chances) in zip(SEQUENCES, values(model), strict=True):
        with torch.no_grad():
            expected = torch.sigmoid(model(padded(text)[None]).logits[0]).tolist()
        assert chances == pytest.approx(expected)
        assert labels == ";".join(f"LABEL_{i}" for i, p in enumerate(expected) if p >= 0.5)


def test_a_regressor_gives_its_value():
    model = classifier(num_labels=1, problem_type="regression")
    predictor = SequencePredictor(model)
    assert [(c.name, c.kind) for c in predictor.columns] == [("prediction", "real")]
    with torch.no_grad():
        expected = [model(padded(text)[None]).logits.item() for text in SEQUENCES]
    assert [row[0] for row in predictor.predict(SEQUENCES)] == pytest.approx(expected)


def test_a_model_that_conjoins_reads_both_strands():
    model = classifier(num_labels=2, conjoin_eval=True)
    there = values(model, ["ACGTTGCAC"])[0]
    assert there[1:] == pytest.approx(values(model, [reverse_complement("ACGTTGCAC")])[0][1:])
    alone = classifier(num_labels=2)
    assert there[1:] != pytest.approx(values(alone, ["ACGTTGCAC"])[0][1:])


@pytest.mark.parametrize("length", [LENGTH, None])
def test_batches_change_no_prediction(length):
    model = classifier(num_labels=2, training_length=length)
    whole = [row[1:] for row in values(model)]
    ones = [row[1:] for row in values(model, batch_size=1)]
    alone = [values(model, [text])[0][1:] for text in SEQUENCES]
    np.testing.assert_allclose(ones, whole, atol=1e-9)
    np.testing.assert_allclose(alone, whole, atol=1e-9)


def test_without_a_training_length_nothing_is_padded():
    model = classifier(num_labels=2, training_length=None)
    with torch.no_grad():
        logits = model(torch.from_numpy(encode("ACGTTGCA").ids).long()[None]).logits[0]
    assert values(model)[0][1:] == pytest.approx(torch.softmax(logits, 0).tolist())


def test_a_language_model_is_refused(models):
    with pytest.raises(UsageError, match="genolm finetune"):
        SequencePredictor(models["ps"])


def test_numbers_that_are_not_finite_are_an_error():
    model = classifier(num_labels=2)
    with torch.no_grad():
        model.score.weight.fill_(float("nan"))
    with pytest.raises(ValueError, match="not finite"):
        values(model)


def test_a_model_of_variants_is_sent_to_score():
    model = build_model("caduceus", "variant_effect", {"d_model": 8, "n_layer": 1}, seed=1)
    with pytest.raises(UsageError, match="about variants, not sequences: use `genolm score`"):
        SequencePredictor(model)
