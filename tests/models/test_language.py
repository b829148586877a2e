"""Language models: equivariance, causality, batch independence, losses."""

import pytest
import torch

COMPLEMENT = torch.tensor([0, 1, 2, 3, 4, 5, 6, 10, 9, 8, 7, 11, 12, 13, 14, 15])
LANGUAGE = [
    "ph",
    "ph_untied",
    "ps",
    "ps_unfused",
    "ps_hyena",
    "mamba",
    "hyenadna",
    "hyenadna_mamba",
]


@pytest.mark.parametrize("length", [1, 2, 40, 41])
@pytest.mark.parametrize("n_layer", [1, 2, 3])
@pytest.mark.parametrize("kind", ["ps", "ps_unfused", "ps_hyena"])
def test_the_reverse_complement_gives_reverse_complemented_logits(
    kind, n_layer, length, make, bases
):
    model = make(kind, n_layer=n_layer)
    ids = bases[:, :length]
    flipped = COMPLEMENT[ids.flip(1)]
    here = model(ids, output_hidden_states=True)
    there = model(flipped, output_hidden_states=True)
    difference = there.logits - here.logits.flip(1)[..., COMPLEMENT]
    assert difference.abs().max() < 1e-5 * here.logits.abs().max().clamp(min=1)
    for first, second in zip(here.hidden_states, there.hidden_states, strict=True):
        assert torch.allclose(second, first.flip(1, 2), atol=1e-5)


def test_a_model_that_is_not_equivariant_knows_the_strand(make, bases):
    model = make("ph")
    there = model(COMPLEMENT[bases.flip(1)]).logits
    assert (there - model(bases).logits.flip(1)[..., COMPLEMENT]).abs().max() > 1e-2


@pytest.mark.parametrize("kind", ["mamba", "hyenadna", "hyenadna_mamba"])
def test_a_causal_model_does_not_see_later_bases(kind, make, bases):
    model = make(kind)
    changed = bases.clone()
    changed[:, 20] = torch.where(bases[:, 20] == 7, 8, 7)
    difference = (model(changed).logits - model(bases).logits).abs().amax(dim=(0, 2))
    assert difference[:20].max() < 1e-5
    assert difference[20:].min() > 0


@pytest.mark.parametrize("kind", ["ph", "ps", "ps_hyena"])
def test_a_masked_model_sees_both_sides(kind, make, bases):
    model = make(kind)
    changed = bases.clone()
    changed[:, 20] = torch.where(bases[:, 20] == 7, 8, 7)
    difference = (model(changed).logits - model(bases).logits).abs().amax(dim=(0, 2))
    assert difference[:20].max() > 0
    assert difference[21:].max() > 0


@pytest.mark.parametrize("kind", LANGUAGE)
def test_sequences_of_a_batch_do_not_meet(kind, make, bases):
    model = make(kind)
    alone = torch.cat([model(row[None]).logits for row in bases])
    assert torch.allclose(model(bases).logits, alone, atol=1e-5)


def test_a_hyena_model_says_how_long_a_sequence_may_be(make):
    for kind in ("hyenadna", "ps_hyena"):
        with pytest.raises(ValueError, match=r"65 tokens.*at most 64.*max_seq_len"):
            make(kind)(torch.full((1, 65), 7))


def test_masked_labels_count_neither_padding_nor_the_ignored(make, bases):
    model = make("ph")
    labels = bases.clone()
    labels[:, :10], labels[:, 10:20] = -100, 4
    output = model(bases, labels=labels)
    wanted = torch.nn.functional.cross_entropy(
        output.logits[:, 20:].flatten(0, 1), bases[:, 20:].flatten()
    )
    assert torch.allclose(output.loss, wanted)


def test_causal_labels_are_the_ids_and_padding_counts(make, bases):
    model = make("hyenadna")
    ids = bases.clone()
    ids[:, -5:] = 4
    output = model(ids, labels=ids)
    wanted = torch.nn.functional.cross_entropy(
        output.logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()
    )
    assert torch.allclose(output.loss, wanted)


def test_the_objective_stands_in_the_config(make):
    assert make("ps").config.objective == "masked_lm"
    assert make("mamba").config.objective == "causal_lm"
    assert make("hyenadna").config.objective == "causal_lm"
    assert make("ps_classifier").config.objective is None
