"""Sequence classifiers: pooling, both strands, problem types."""

import pytest
import torch

from genolm.models import build_model

COMPLEMENT = torch.tensor([0, 1, 2, 3, 4, 5, 6, 10, 9, 8, 7, 11])


def reverse_complement(ids):
    return COMPLEMENT[ids.flip(1)]


@pytest.mark.parametrize("pooling", ["mean", "sum", "max", "first", "last"])
def test_an_equivariant_classifier_does_not_know_the_strand(pooling, make, bases):
    model = make("ps_classifier", pooling_strategy=pooling)
    difference = model(bases).logits - model(reverse_complement(bases)).logits
    assert difference.abs().max() < 1e-5


@pytest.mark.parametrize("oriented", [False, True])
def test_segments_tell_where_something_is_and_the_strands_alike(oriented, make, bases):
    model = make("ps_classifier", pool_segments=4, oriented_head=oriented)
    model.score.weight.data.normal_(generator=torch.Generator().manual_seed(1))
    assert model.score.weight.shape == (3, (8 if oriented else 4) * model.config.d_model)
    same = (model(bases).logits - model(reverse_complement(bases)).logits).abs().max() < 1e-5
    assert same != oriented
    moved = torch.nn.functional.pad(bases, (8, 0), value=11)[:, : bases.shape[1]]
    assert (model(moved).logits - model(bases).logits).abs().max() > 1e-3


def test_segments_need_means(make):
    with pytest.raises(ValueError, match="pool_segments 4 needs pooling_strategy: mean"):
        make("ps_classifier", pool_segments=4, pooling_strategy="max")
    with pytest.raises(ValueError, match="pool_segments must be 1 or more"):
        make("ps_classifier", pool_segments=0)


@pytest.mark.parametrize("family", ["caduceus", "hyenadna"])
@pytest.mark.parametrize("pooling", ["mean", "sum", "max", "first", "last"])
def test_conjoining_averages_the_logits_of_both_strands(family, pooling, bases):
    options = {"d_model": 16, "n_layer": 2, "num_labels": 3, "pooling_strategy": pooling}
    plain = build_model(family, "classification", options, seed=2).eval()
    both = torch.stack([bases, reverse_complement(bases)], dim=-1)
    wanted = (plain(bases).logits + plain(reverse_complement(bases)).logits) / 2
    for flag in ("conjoin_train", "conjoin_eval"):
        model = build_model(family, "classification", {**options, flag: True}, seed=2).eval()
        output = model(both, output_hidden_states=True)
        assert torch.allclose(output.logits, wanted, atol=1e-6)
        forward = plain(bases, output_hidden_states=True).hidden_states
        assert len(output.hidden_states) == len(forward)
        for ours, theirs in zip(output.hidden_states, forward, strict=True):
            assert torch.allclose(ours, theirs, atol=1e-5)


def test_conjoin_eval_reads_one_strand_in_training_and_conjoin_train_both(bases):
    options = {"d_model": 16, "n_layer": 1}
    both = torch.stack([bases, reverse_complement(bases)], dim=-1)
    model = build_model("caduceus", "classification", {**options, "conjoin_eval": True}, seed=2)
    assert model.train()(bases).logits.shape == (3, 2)
    assert model.eval()(both).logits.shape == (3, 2)
    assert model(bases).logits.equal(model(both).logits)
    with pytest.raises(ValueError, match=r"conjoin_eval is set: .*\(batch, length, 2\)"):
        model(torch.cat([both, both], dim=-1))
    model = build_model("caduceus", "classification", {**options, "conjoin_train": True}, seed=2)
    assert model.train()(both).logits.shape == (3, 2)
    assert model(bases).logits.equal(model(both).logits)
    with pytest.raises(ValueError, match="conjoin_train is set"):
        model(both[..., :1])


def test_two_strands_without_conjoining_are_refused(make, bases):
    both = torch.stack([bases, bases], dim=-1)
    for kind in ("ps_classifier", "hyenadna_classifier"):
        with pytest.raises(ValueError, match="conjoin_train or conjoin_eval"):
            make(kind)(both)


def test_hyenadna_reads_the_position_before_the_first_padding_or_the_last(make, bases):
    model = make("hyenadna_classifier")
    states = model.hyena(bases).last_hidden_state
    assert torch.allclose(model(bases).logits, model.score(states[:, -1]), atol=1e-6)
    padded = bases.clone()
    padded[0, 30:], padded[1, :5] = 4, 4
    states = model.hyena(padded).last_hidden_state
    chosen = torch.stack([states[0, 29], states[1, -1], states[2, -1]])
    assert torch.allclose(model(padded).logits, model.score(chosen), atol=1e-6)


def test_losses_follow_the_problem_type(make, bases):
    values = torch.tensor([0.5, -1.0, 2.0])
    model = make("ps_classifier", num_labels=1)
    output = model(bases, labels=values)
    wanted = ((output.logits[:, 0] - values) ** 2).mean()
    assert torch.allclose(output.loss, wanted)
    several = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    model = make("ps_classifier", problem_type="multi_label_classification")
    output = model(bases, labels=several)
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(output.logits, several)
    assert torch.allclose(output.loss, wanted)
    model = make("ps_classifier", problem_type="regression")
    output = model(bases, labels=several)
    assert torch.allclose(output.loss, ((output.logits - several) ** 2).mean())
