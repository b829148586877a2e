"""A prediction for every base: both strands, losses, fresh heads."""

import pytest
import torch
from torch.nn import functional
from transformers import AutoModelForTokenClassification

from genolm.models import build_model, load, objective_of

COMPLEMENT = torch.tensor([0, 1, 2, 3, 4, 5, 6, 10, 9, 8, 7, 11])
PAD = 4


def reverse_complement(ids):
    return COMPLEMENT[ids.flip(1)]


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("n_layer", [1, 2, 3])
def test_an_equivariant_model_predicts_the_same_for_a_base_on_either_strand(
    fused, n_layer, make, bases
):
    model = make("ps_token", n_layer=n_layer, fused_add_norm=fused).double()
    here, there = model(bases).logits, model(reverse_complement(bases)).logits
    assert here.shape == (3, 41, 12)
    assert (here - there.flip(1)).abs().max() < 1e-12
    assert (here - there).abs().max() > 1e-2


def test_the_scores_of_both_strands_are_averaged_where_they_stand(make, bases):
    model = make("ps_token").double()
    forward, backward = model.caduceus(bases).last_hidden_state.chunk(2, dim=-1)
    wanted = (model.score(forward) + model.score(backward.flip(-1))) / 2
    assert (model(bases).logits - wanted).abs().max() < 1e-12


def test_one_strand_is_scored_position_by_position(make, bases):
    model = make("hyenadna_token")
    states = model.hyena(bases).last_hidden_state
    assert torch.allclose(model(bases).logits, model.score(states))


@pytest.mark.parametrize("mask_padding", [False, True])
@pytest.mark.parametrize("family", ["caduceus", "hyenadna"])
def test_conjoining_averages_what_both_strands_say_of_a_base(family, mask_padding, bases):
    options = {"d_model": 16, "n_layer": 2, "num_labels": 3, "mask_padding": mask_padding}
    plain = build_model(family, "token_classification", options, seed=2).double().eval()
    bases[0, :9] = PAD
    opposite = reverse_complement(bases)
    shifted = opposite.clone()
    shifted[0] = opposite[0].roll(9)  # padded on the left, like the first
    for second in (opposite, shifted):
        there = plain(second).logits
        there[0] = there[0].roll(-9, dims=0) if second is shifted else there[0]
        wanted = (plain(bases).logits + there.flip(1)) / 2
        for flag in ("conjoin_train", "conjoin_eval"):
            model = build_model(family, "token_classification", {**options, flag: True}, seed=2)
            output = model.double().eval()(
                torch.stack([bases, second], dim=-1), labels=bases % 3, output_hidden_states=True
            )
            assert (output.logits - wanted)[bases != PAD].abs().max() < 1e-12
            assert output.hidden_states[0].shape == (3, 41, 16)
            counted = bases != PAD if mask_padding else bases == bases
            loss = functional.cross_entropy(output.logits[counted], (bases % 3)[counted])
            assert abs(output.loss - loss) < 1e-12


def test_strands_of_different_lengths_are_refused(bases):
    model = build_model(
        "caduceus", "token_classification", {"d_model": 8, "conjoin_eval": True}, seed=1
    )
    second = reverse_complement(bases)
    second[1, :3] = PAD
    with pytest.raises(ValueError, match="strands of row 1 have 41 and 38 tokens"):
        model.eval()(torch.stack([bases, second], dim=-1))
    with pytest.raises(ValueError, match=r"conjoin_eval is set: .*\(batch, length, 2\)"):
        model(bases)
    with pytest.raises(ValueError, match="conjoin_train or conjoin_eval"):
        model.train()(torch.stack([bases, second], dim=-1))


def test_embeddings_of_both_strands_may_stand_in_for_ids(bases):
    options = {"d_model": 16, "n_layer": 1, "conjoin_eval": True}
    model = build_model("caduceus", "token_classification", options, seed=1).eval()
    both = torch.stack([bases, reverse_complement(bases)], dim=-1)
    embedded = model.get_input_embeddings()(both.movedim(-1, 0).flatten(0, 1))
    assert torch.allclose(model(inputs_embeds=embedded).logits, model(both).logits, atol=1e-6)


@pytest.mark.parametrize("kind", ["ps_token", "hyenadna_token"])
def test_labels_of_minus_100_do_not_count(kind, make, bases):
    model = make(kind)
    labels = bases.clone()
    labels[:, :30] = -100
    output = model(bases, labels=labels)
    wanted = functional.cross_entropy(output.logits[:, 30:].flatten(0, 1), bases[:, 30:].flatten())
    assert torch.allclose(output.loss, wanted)
    assert model(bases, labels=torch.full_like(bases, -100)).loss == 0


def test_values_are_predicted_too(make, bases):
    values = torch.randn(3, 41, generator=torch.Generator().manual_seed(0))
    values[0, :5], values[1, 7] = -100, torch.nan
    counted = (values != -100) & ~values.isnan()
    model = make("ps_token", num_labels=1)
    output = model(bases, labels=values)
    assert output.logits.shape == (3, 41, 1)
    assert torch.allclose(
        output.loss, functional.mse_loss(output.logits[..., 0][counted], values[counted])
    )
    assert model(bases, labels=torch.full_like(values, -100)).loss == 0
    several = (torch.rand(3, 41, 12, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    output = make("hyenadna_token")(bases, labels=several)
    wanted = functional.binary_cross_entropy_with_logits(output.logits, several)
    assert torch.allclose(output.loss, wanted)
    with pytest.raises(
        ValueError, match=r"a value for every score, \(3, 41, 12\), got .*\(3, 41\)"
    ):
        make("ps_token", problem_type="regression")(bases, labels=values)
    with pytest.raises(ValueError, match="problem_type"):
        make("ps_token", problem_type="ranking")(bases, labels=bases)


def test_values_at_padding_do_not_count_where_padding_is_left_out(make, bases):
    ids = bases.clone()
    ids[0, :9] = PAD
    model = make("ps_token", mask_padding=True, num_labels=1)
    losses = []
    for at_padding in (0.0, 50.0):
        values = torch.ones(3, 41)
        values[ids == PAD] = at_padding
        losses.append(model(ids, labels=values).loss)
    assert losses[0].equal(losses[1])


@pytest.mark.parametrize("kind", ["ps", "hyenadna", "ps_classifier", "hyenadna_classifier"])
def test_any_model_becomes_a_token_classifier_with_a_fresh_seeded_head(kind, make, bases, tmp_path):
    make(kind).save_pretrained(tmp_path)
    options = {"num_labels": 3}
    first, _ = load(tmp_path, task="token_classification", options=options, seed=3)
    torch.manual_seed(99)
    again, _ = load(tmp_path, task="token_classification", options=options, seed=3)
    other, _ = load(tmp_path, task="token_classification", options=options, seed=4)
    assert objective_of(first) == "token_classification"
    assert first(bases).logits.shape == (3, 41, 3)
    assert again.score.weight.equal(first.score.weight)
    assert not other.score.weight.equal(first.score.weight)
    assert first.score.weight.abs().max() < 0.1
    former, _ = load(tmp_path)
    for name, value in former.base_model.state_dict().items():
        assert first.base_model.state_dict()[name].equal(value), name


@pytest.mark.parametrize("kind", ["ps_token", "hyenadna_token"])
def test_a_saved_token_classifier_keeps_its_head(kind, make, bases, tmp_path):
    model = make(kind)
    model.save_pretrained(tmp_path)
    for again in (
        load(tmp_path)[0],
        load(tmp_path, task="token_classification")[0],
        AutoModelForTokenClassification.from_pretrained(tmp_path),
    ):
        assert type(again) is type(model)
        assert again(bases).logits.equal(model(bases).logits)
