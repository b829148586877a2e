"""More tokens, or fewer: table, head, complement map and config change together."""

import pytest
import torch

from genolm.models import load

TABLE_ROWS = 16


def complement(model):
    return torch.tensor(model.config.complement)


@pytest.mark.parametrize("mean_resizing", [True, False])
def test_added_tokens_leave_the_others_as_they_were(kind, mean_resizing, make, bases):
    model, former = make(kind), make(kind)
    torch.manual_seed(0)
    words = model.resize_token_embeddings(19, mean_resizing=mean_resizing)
    assert words is model.get_input_embeddings()
    assert words.weight.shape == (24, 16)
    assert words.num_embeddings == 24
    assert words.weight[:TABLE_ROWS].equal(former.get_input_embeddings().weight)
    assert model.config.padded_vocab_size == 24
    logits, wanted = model(bases).logits, former(bases).logits
    if "LM" in type(model).__name__:
        assert logits.shape == (3, 41, 24)
        assert model.get_output_embeddings().out_features == 24
        logits = logits[..., :TABLE_ROWS]
    assert torch.allclose(logits, wanted, atol=1e-6)
    assert model(torch.full((1, 5), 18)).logits.isfinite().all()


@pytest.mark.parametrize("tie", [True, False])
@pytest.mark.parametrize("tokens", [12, 16])
def test_the_number_that_there_is_changes_nothing(tokens, tie, make, bases):
    for kind in ("ps", "ph", "hyenadna"):
        model = make(kind, tie_word_embeddings=tie) if kind == "hyenadna" else make(kind)
        wanted = model(bases).logits
        model.resize_token_embeddings(tokens)
        assert model.config.padded_vocab_size == TABLE_ROWS
        assert model(bases).logits.equal(wanted)
        model.resize_token_embeddings(40)
        model.resize_token_embeddings(tokens)
        assert torch.allclose(model(bases).logits, wanted, atol=1e-6)


@pytest.mark.parametrize("tie", [True, False])
def test_a_head_of_its_own_stays_its_own(tie, make):
    model = make("hyenadna", tie_word_embeddings=tie)
    model.resize_token_embeddings(20)
    head, words = model.get_output_embeddings(), model.get_input_embeddings()
    assert (head.weight is words.weight) == tie
    assert head.weight.shape == words.weight.shape == (24, 16)
    assert head.full_precision


@pytest.mark.parametrize("kind", ["ps", "ps_unfused", "ps_hyena"])
def test_an_equivariant_model_stays_equivariant(kind, make):
    model = make(kind)
    model.resize_token_embeddings(30)
    partner = complement(model)
    assert partner.tolist()[:12] == [0, 1, 2, 3, 4, 5, 6, 10, 9, 8, 7, 11]
    assert partner[12:].equal(torch.arange(12, 32))
    for name, buffer in model.named_buffers():
        if name.endswith("complement_map"):
            assert buffer.equal(partner), name
    ids = torch.randint(7, 30, (2, 33), generator=torch.Generator().manual_seed(1))
    here, there = model(ids).logits, model(partner[ids.flip(1)]).logits
    assert (there - here.flip(1)[..., partner]).abs().max() < 1e-5 * here.abs().max()


def test_a_resized_model_is_saved_and_loaded_like_any_other(kind, make, bases, tmp_path):
    model = make(kind)
    model.resize_token_embeddings(19)
    ids = bases.clone()
    ids[:, 3] = 18
    wanted = model(ids).logits
    model.save_pretrained(tmp_path)
    for again in (type(model).from_pretrained(tmp_path), load(tmp_path)[0]):
        assert again(ids).logits.equal(wanted)
        assert again.config.vocab_size == model.config.vocab_size
        assert again.get_input_embeddings().weight.shape == (24, 16)


def test_another_multiple_may_be_asked_for(make, tmp_path):
    model = make("ps")
    model.resize_token_embeddings(pad_to_multiple_of=64)
    assert model.get_input_embeddings().weight.shape == (64, 16)
    model.save_pretrained(tmp_path)
    assert type(model).from_pretrained(tmp_path).config.padded_vocab_size == 64


def test_a_base_is_not_parted_from_its_complement(make, bases):
    model = make("ps")
    wanted = model(bases).logits
    with pytest.raises(ValueError, match="complement_map leaves the vocabulary of 8 tokens"):
        model.resize_token_embeddings(8)
    assert model.config.vocab_size == TABLE_ROWS
    assert model(bases).logits.equal(wanted)


def test_nothing_is_asked_and_nothing_done(make):
    model = make("hyenadna")
    assert model.resize_token_embeddings() is model.get_input_embeddings()
    assert model.config.vocab_size == 12
