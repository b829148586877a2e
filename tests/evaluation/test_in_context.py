from dataclasses import replace

import numpy as np
import pytest
import torch

from genolm.data.labelled_set import LabelledSet
from genolm.data.labels import LabelSpace
from genolm.errors import UsageError
from genolm.evaluation.in_context import draw_demonstrations, k_shot, tune_on_prompts
from genolm.evaluation.prompt_tuning import Tuning, tune
from genolm.evaluation.prompts import Reader, demonstration, letters_of, question
from genolm.evaluation.soft_prompts import tune_soft_prompt
from genolm.models import build_model
from genolm.training.labelled_parts import LabelledPart, LabelledParts

SHARES = {"at": [0.45, 0.05, 0.05, 0.45], "cg": [0.05, 0.45, 0.45, 0.05]}
A, N, C = 7, 11, 8
TINY = {
    "mamba": ("caduceus", {"d_model": 16, "n_layer": 2, "bidirectional": False}),
    "hyena": ("hyenadna", {"d_model": 16, "n_layer": 1, "max_seq_len": 128}),
}


def labelled(count, seed, names=("at", "cg")):
    rng = np.random.default_rng(seed)
    labels = [names[i % len(names)] for i in range(count)]
    rows = ["".join(rng.choice(list("ACGT"), 10, p=SHARES.get(n, [0.25] * 4))) for n in labels]
    return LabelledSet("toy", rows, labels, ["toy"] * count, list(range(count)))


def make_parts(names=("at", "cg"), task="classification"):
    sets = [labelled(count, seed, names) for seed, count in enumerate((60, 20, 40))]
    space = LabelSpace.learn(sets[0], task)
    train, valid, test = (LabelledPart(rows, space.encode(rows)) for rows in sets)
    return LabelledParts(space, train, valid, test, train)


def flipped(parts):
    return replace(
        parts,
        **{
            name: replace(part, targets=1 - part.targets)
            for name in ("train", "valid", "test")
            if (part := getattr(parts, name)) is not None
        },
    )


def tiny(name):
    family, options = TINY[name]
    model = build_model(family, "causal_lm", options, seed=1)
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(20)  # so that what is before is heard
    return model


def test_a_prompt_is_sequences_and_letters_between_separators():
    assert question("acgn").tolist() == [7, 8, 9, 11, 1]
    assert demonstration("AC", "N").tolist() == [7, 8, 1, 11, 1]
    assert letters_of(make_parts()) == {"at": "A", "cg": "N"}
    assert letters_of(make_parts(("x", "at", "cg"))) == {"at": "A", "cg": "G", "x": "N"}


@pytest.mark.parametrize("name", TINY)
def test_an_answer_is_the_models_own_next_token(name):
    """Read at once or after a remembered beginning, and whatever else is asked."""
    model, parts = tiny(name), make_parts()
    found = k_shot(model, parts, shots=4, calibrate=False, seed=3)
    prompt = draw_demonstrations(parts.train, 4, found.letters, (3, 0))
    for row in (0, 7):
        ids = np.concatenate([prompt, question(parts.test.rows.sequences[row])]).astype(np.int64)
        with torch.no_grad():
            said = model(input_ids=torch.from_numpy(ids)[None]).logits[0, -1, [A, N]]
        expected = said.log_softmax(0).numpy()
        np.testing.assert_allclose(found.scores[row], expected, rtol=1e-4, atol=1e-5)
    mixed = [question("ACGT"), question("AC"), question("TTTT"), question("ACGT")]
    asked = Reader(model, batch_size=2).ask(mixed, prompt)
    np.testing.assert_allclose(asked[0], asked[3], atol=1e-6)
    np.testing.assert_allclose(asked[1], Reader(model).ask(mixed[1:2], prompt)[0], atol=1e-5)


def test_demonstrations_are_of_all_classes_in_turn_and_never_the_row_itself():
    part = make_parts().train
    letters = {"at": "A", "cg": "N"}
    ids = draw_demonstrations(part, 6, letters, (1,))
    shown = ids.reshape(6, 13)
    assert sorted(shown[:, 11].tolist()) == [A] * 3 + [N] * 3
    assert {tuple(sorted(pair)) for pair in shown[:, 11].reshape(3, 2).tolist()} == {(A, N)}
    rows = {tuple(question(bases)[:10].tolist()) for bases in part.rows.sequences}
    assert {tuple(row[:10].tolist()) for row in shown} <= rows
    assert len({row.tobytes() for row in shown}) == 6
    small = LabelledPart(part.rows.take(range(4)), part.targets[:4])
    for seed in range(5):
        drawn = draw_demonstrations(small, 2, letters, (seed,), besides=0).reshape(2, 13)
        own = question(small.rows.sequences[0])
        assert not any((row[:11] == own).all() for row in drawn)
    with pytest.raises(UsageError, match="class at has 1 train rows"):
        draw_demonstrations(small, 4, letters, (1,), besides=0)


def test_calibration_takes_the_models_habit_away_and_looks_at_no_label():
    model, parts = tiny("mamba"), make_parts()
    plain, calibrated = (k_shot(model, parts, calibrate=on) for on in (False, True))
    shift = calibrated.scores - plain.scores
    np.testing.assert_allclose(shift, np.broadcast_to(shift[0], shift.shape), atol=1e-9)
    other = replace(parts, valid=replace(parts.valid, targets=1 - parts.valid.targets))
    np.testing.assert_array_equal(k_shot(model, other).scores, calibrated.scores)


def test_a_model_that_is_tuned_on_prompts_answers():
    model, parts = tiny("mamba"), make_parts()
    tuning = Tuning(epochs=8, batch_size=6, learning_rate=1e-2)
    tune_on_prompts(model, parts, samples=60, shots=2, tuning=tuning)
    found = k_shot(model, parts, shots=2, draws=2)
    assert found.test["accuracy"] > 0.9
    assert found.test["n"] == 40


@pytest.fixture(scope="module")
def switched():
    """A model that answers one way after AAAA, and the other way after GGGG."""
    options = {"d_model": 32, "n_layer": 2, "bidirectional": False}
    model = build_model("caduceus", "causal_lm", options, seed=1)
    rows = labelled(120, 5)
    questions, answers = [], []
    for bases, name in zip(rows.sequences, rows.labels, strict=True):
        for letter, one, other in (("A", A, N), ("G", N, A)):
            switch = question(4 * letter)[:4]
            questions.append(np.concatenate([switch, question(bases)]))
            answers.append(one if name == "at" else other)
    tuning = Tuning(epochs=6, batch_size=16, learning_rate=1e-2)
    tune(Reader(model).logits, list(model.parameters()), questions, answers, tuning, 0)
    return model


def test_a_soft_prompt_turns_a_frozen_model(switched):
    parts = make_parts()
    plain = k_shot(switched, parts, shots=0, calibrate=False).test["accuracy"]
    wrong = parts if plain < 0.5 else flipped(parts)
    before = {name: value.clone() for name, value in switched.state_dict().items()}
    asked = k_shot(switched, wrong, shots=0, calibrate=False)
    tuning = Tuning(epochs=30, batch_size=15, learning_rate=0.3, patience=8)
    found = tune_soft_prompt(switched, wrong, vectors=4, tuning=tuning)
    assert found.vectors.shape == (4, 32)
    assert asked.test["accuracy"] < 0.5
    assert found.answers.test["accuracy"] > 0.8
    assert all(torch.equal(value, before[name]) for name, value in switched.state_dict().items())
    assert all(one.requires_grad and one.grad is None for one in switched.parameters())


def test_soft_vectors_stand_before_the_embedded_sequence():
    model = tiny("hyena")
    vectors = torch.randn(3, 16)
    ids = question("ACGTA")
    asked = Reader(model).ask([ids], vectors)
    with torch.no_grad():
        words = model.get_input_embeddings()(torch.from_numpy(ids.astype(np.int64)))
        said = model(inputs_embeds=torch.cat([vectors, words])[None]).logits[0, -1]
    np.testing.assert_allclose(asked[0], said.numpy(), rtol=1e-5, atol=1e-6)
    words = model.get_input_embeddings().weight[[A, C]].detach()
    as_tokens = Reader(model).ask([ids], np.array([A, C], dtype=np.uint8))
    np.testing.assert_allclose(Reader(model).ask([ids], words), as_tokens, atol=1e-5)


def test_the_seed_fixes_a_soft_prompt():
    tuning = Tuning(epochs=1)
    found = [
        tune_soft_prompt(tiny("mamba"), make_parts(), vectors=2, tuning=tuning, seed=seed).vectors
        for seed in (1, 1, 2)
    ]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_what_cannot_be_asked_is_refused():
    masked = build_model("caduceus", "masked_lm", {"d_model": 8, "n_layer": 1}, seed=1)
    with pytest.raises(UsageError, match="does not guess the next token"):
        k_shot(masked, make_parts())
    six = make_parts(tuple("abcdef"))
    with pytest.raises(UsageError, match="two to five exclusive classes"):
        k_shot(tiny("mamba"), six)
    with pytest.raises(UsageError, match="two to five exclusive classes"):
        k_shot(tiny("mamba"), make_parts(task="multilabel"))
    with pytest.raises(UsageError, match="this model reads 128"):
        k_shot(tiny("hyena"), make_parts(), shots=10)
    with pytest.raises(UsageError, match="this model reads 128"):
        tune_soft_prompt(tiny("hyena"), make_parts(), vectors=120)
    with pytest.raises(UsageError, match="one at least"):
        tune_soft_prompt(tiny("mamba"), make_parts(), vectors=0)
