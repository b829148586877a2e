"""What N is in training: looked over, padding as in Caduceus, or a target as in HyenaDNA."""

import numpy as np
import pytest
import torch

from genolm.data.genome_store import open_store
from genolm.data.language import LanguageDataset
from genolm.data.masking import EvaluationMasking, Masking
from genolm.data.windows import make_windows
from genolm.tokenization.vocabulary import BASE_IDS, MASK, PAD, N

KINDS = ("ignored", "pad", "predicted")


@pytest.fixture
def read(make_fasta):
    drawn = np.random.default_rng(0).integers(0, 5, 6400)
    bases = np.frombuffer(b"ACGTN", np.uint8)[drawn].tobytes().decode()
    store = open_store(make_fasta({"a": bases}))
    windows = make_windows(store.contigs, 64)

    def read(objective, n_bases, masking=None):
        data = LanguageDataset(
            store, windows, objective, seed=4, masking=masking, rc_augment=True, n_bases=n_bases
        )
        return data.collate(data.__getitems__(list(range(len(windows)))))

    return read


@pytest.fixture
def is_n(read):
    return read("causal_lm", "ignored")["input_ids"] == N


def test_next_base_models(read, is_n):
    plain, padded, predicted = (read("causal_lm", kind) for kind in KINDS)
    assert 0.15 < is_n.float().mean() < 0.25
    assert torch.equal(plain["labels"][~is_n], plain["input_ids"][~is_n])
    assert (plain["labels"][is_n] == -100).all()
    assert torch.equal(padded["labels"], plain["labels"])
    assert (padded["input_ids"][is_n] == PAD).all()
    assert torch.equal(padded["input_ids"][~is_n], plain["input_ids"][~is_n])
    assert torch.equal(predicted["input_ids"], plain["input_ids"])
    assert torch.equal(predicted["labels"], plain["input_ids"])


def test_masked_models(read, is_n):
    plain, padded, predicted = (read("masked_lm", kind, Masking(0.5, 0.5, 0.5)) for kind in KINDS)
    assert (plain["labels"][is_n] == -100).all()
    assert (plain["input_ids"][is_n] == N).all()
    assert torch.equal(padded["labels"], plain["labels"])
    assert (padded["input_ids"][is_n] == PAD).all()
    assert torch.equal(padded["input_ids"][~is_n], plain["input_ids"][~is_n])
    # Predicting N changes nothing about other bases, and hides N as often.
    assert torch.equal(predicted["labels"][~is_n], plain["labels"][~is_n])
    assert torch.equal(predicted["input_ids"][~is_n], plain["input_ids"][~is_n])
    asked = is_n & (predicted["labels"] != -100)
    assert asked.sum() / is_n.sum() == pytest.approx(0.5, abs=0.05)
    assert (predicted["labels"][asked] == N).all()
    shown = predicted["input_ids"][asked]
    assert set(shown.tolist()) == {MASK, *BASE_IDS}
    assert (predicted["input_ids"][is_n & ~asked] == N).all()


def test_evaluations_never_ask_for_n(read, is_n):
    for kind in KINDS:
        held_out = read("masked_lm", kind, EvaluationMasking(2))
        assert (held_out["labels"][is_n] == -100).all()
        assert (held_out["input_ids"][is_n] == (PAD if kind == "pad" else N)).all()


def test_another_word_is_refused(read):
    with pytest.raises(ValueError, match="n_bases must be ignored, pad or predicted, got 'skip'"):
        read("causal_lm", "skip")
