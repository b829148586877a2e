"""With mask_padding, a padded sequence gives what it gives alone; without, padding is a token."""

import pytest
import torch

from genolm.models import build_model, padding

PAD = 4
# First position of each sequence in a row of 41 tokens, and its length.
PLACES = {
    "left": [(29, 12), (0, 41), (34, 7), (29, 12), (40, 1)],
    "right": [(0, 12), (0, 41), (0, 7), (0, 12), (0, 1)],
    "mixed": [(29, 12), (3, 30), (0, 12), (3, 30), (17, 1)],
}
COMPLEMENT = torch.tensor([0, 1, 2, 3, 4, 5, 6, 10, 9, 8, 7, 11])
POOLING = ["mean", "sum", "max", "first", "last"]


@pytest.fixture(params=PLACES)
def places(request):
    return PLACES[request.param]


@pytest.fixture
def batch(places):
    """Padded ids; the labels of padding are bases too, which must not matter."""
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(7, 12, (len(places), 41), generator=generator)
    labels = torch.randint(0, 12, ids.shape, generator=generator)
    labels[torch.rand(ids.shape, generator=generator) < 0.3] = -100
    for row, (start, length) in enumerate(places):
        ids[row, :start], ids[row, start + length :] = PAD, PAD
    return ids, labels


def cut(places, tensor, row):
    start, length = places[row]
    return tensor[row : row + 1, start : start + length]


def count(model, labels):
    """How many labels of a single sequence have a part in the loss."""
    if "Causal" in type(model).__name__:
        labels = labels[:, 1:]
    ignored = [-100, PAD] if "Masked" in type(model).__name__ else [-100]
    return sum(int(label not in ignored) for label in labels.flatten().tolist())


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {name: value.grad.clone() for name, value in model.named_parameters()}


def test_states_are_those_of_each_sequence_alone(kind, make, places, batch):
    model = make(kind, mask_padding=True).double().base_model
    ids, _ = batch
    found = model(ids, output_hidden_states=True)
    for row, (start, length) in enumerate(places):
        alone = model(cut(places, ids, row), output_hidden_states=True)
        pairs = [(found.last_hidden_state, alone.last_hidden_state)]
        pairs += zip(found.hidden_states, alone.hidden_states, strict=True)
        assert len(pairs) > 2
        for together, single in pairs:
            assert (cut(places, together, row) - single).abs().max() < 1e-10
            assert not together[row, :start].any()
            assert not together[row, start + length :].any()


def test_logits_loss_and_gradients_are_those_of_each_sequence_alone(kind, make, places, batch):
    model = make(kind, mask_padding=True).double()
    ids, labels = batch
    whole = "SequenceClass" in type(model).__name__
    labels = torch.arange(len(places)) % 3 if whole else labels
    together = model(ids, labels=labels)
    found = gradients(model, together.loss)
    total, weights = torch.zeros((), dtype=torch.float64), 0
    for row in range(len(places)):
        own = labels[row : row + 1] if whole else cut(places, labels, row)
        alone = model(cut(places, ids, row), labels=own)
        logits = together.logits[row : row + 1] if whole else cut(places, together.logits, row)
        assert (logits - alone.logits).abs().max() < 1e-10
        weight = 1 if whole else count(model, own)
        total, weights = total + weight * alone.loss, weights + weight
    assert abs(together.loss - total / weights) < 1e-10
    assert weights > 3
    for name, wanted in gradients(model, total / weights).items():
        assert (found[name] - wanted).abs().max() < 1e-10, name
        assert wanted.any(), name


@pytest.mark.parametrize("pooling", [*POOLING, "before_pad"])
@pytest.mark.parametrize("kind", ["ps_classifier", "hyenadna_classifier"])
def test_only_real_positions_are_pooled(kind, pooling, make, places, batch):
    if pooling == "before_pad" and kind != "hyenadna_classifier":
        with pytest.raises(ValueError, match="pooling_strategy"):
            make(kind, pooling_strategy=pooling)
        return
    model = make(kind, mask_padding=True, pooling_strategy=pooling).double()
    ids, _ = batch
    together = model(ids).logits
    for row in range(len(places)):
        alone = model(cut(places, ids, row)).logits
        assert (together[row] - alone[0]).abs().max() < 1e-10


@pytest.mark.parametrize("pooling", POOLING)
@pytest.mark.parametrize("family", ["caduceus", "hyenadna"])
def test_conjoined_strands_may_be_padded_on_different_sides(family, pooling, places, batch):
    options = {"d_model": 16, "n_layer": 1, "conjoin_eval": True, "pooling_strategy": pooling}
    model = build_model(family, "classification", {**options, "mask_padding": True}, seed=1)
    model = model.double().eval()
    ids, _ = batch
    opposite = torch.full_like(ids, PAD)
    rows = [COMPLEMENT[cut(places, ids, row).flip(1)] for row in range(len(places))]
    for row, strand in enumerate(rows):
        opposite[row, : strand.shape[1]] = strand
    both = torch.stack([ids, opposite], dim=-1)
    together = model(both).logits
    masked = model(both, attention_mask=(both != PAD).int()).logits
    assert masked.equal(together)
    for row, strand in enumerate(rows):
        alone = model(torch.stack([cut(places, ids, row), strand], dim=-1)).logits
        assert (together[row] - alone[0]).abs().max() < 1e-10
    with pytest.raises(ValueError, match=r"attention_mask must hold both strands"):
        model(both, attention_mask=(ids != PAD).int())


def test_rows_of_padding_alone_give_zeros(kind, make, bases):
    model = make(kind, mask_padding=True)
    for empty in ([1], [0, 1, 2]):
        ids = bases.clone()
        ids[empty] = PAD
        output = model(ids, output_hidden_states=True)
        states = [model.base_model(ids).last_hidden_state, *output.hidden_states, output.logits]
        for state in states:
            assert not state[empty].any()
            assert state.isfinite().all()
        assert torch.allclose(output.logits[0], model(ids[:1]).logits[0], atol=1e-5)


def test_a_mask_may_be_given_and_embeddings_need_one_to_be_cut(make, bases):
    ids = bases.clone()
    ids[0, :9], ids[1, 20:] = PAD, PAD
    mask = ids != PAD
    for kind in ("ph", "hyenadna"):
        model = make(kind, mask_padding=True).double()
        wanted = model(ids).logits
        embedded = model.get_input_embeddings()(ids)
        for given in (mask, mask.long(), mask.float()):
            assert model(ids, attention_mask=given).logits.equal(wanted)
            found = model(inputs_embeds=embedded, attention_mask=given).logits
            assert (found - wanted).abs().max() < 1e-12
        plain = make(kind).double()
        assert model(inputs_embeds=embedded).logits.equal(plain(inputs_embeds=embedded).logits)
        # What the mask says holds against what the ids are.
        assert model(ids, attention_mask=torch.ones_like(ids)).logits.equal(plain(ids).logits)


def test_padding_inside_of_a_sequence_is_part_of_it(make, bases):
    ids = bases.clone()
    ids[:, 10:20] = PAD
    assert make("ph", mask_padding=True)(ids).logits.equal(make("ph")(ids).logits)


def test_masks_that_cannot_be_followed_are_refused(make, bases):
    mask = torch.ones_like(bases)
    mask[1, 5] = 0
    for kind in ("ps", "hyenadna", "ps_classifier", "hyenadna_token"):
        model = make(kind, mask_padding=True)
        with pytest.raises(ValueError, match=r"attention_mask has a hole: .* row 1 "):
            model(bases, attention_mask=mask)
        with pytest.raises(ValueError, match=r"attention_mask must be .*\(3, 41\), got \(3, 40\)"):
            model(bases, attention_mask=mask[:, 1:])


def test_without_mask_padding_a_mask_has_no_effect_and_that_is_said(kind, make, bases, monkeypatch):
    said = []
    monkeypatch.setattr(padding.logger, "warning_once", said.append)
    model, ids = make(kind), bases.clone()
    ids[:, :9] = PAD
    wanted = model(ids).logits
    assert model(ids, attention_mask=torch.ones_like(ids)).logits.equal(wanted)
    assert not said
    assert model(ids, attention_mask=(ids != PAD).long()).logits.equal(wanted)
    assert "mask_padding: true" in said[0]
    assert not make(kind, mask_padding=True)(ids).logits.equal(wanted)


def test_a_batch_without_padding_is_computed_as_ever(kind, make, bases):
    assert make(kind, mask_padding=True)(bases).logits.equal(make(kind)(bases).logits)


def test_padding_that_is_left_out_does_not_count_as_length(make):
    ids = torch.full((2, 80), PAD)
    ids[0, 20:80], ids[1, :64] = 7, 8
    assert make("hyenadna", mask_padding=True)(ids).logits.shape == (2, 80, 16)
    with pytest.raises(ValueError, match="80 tokens"):
        make("hyenadna")(ids)


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated")
def test_recomputing_blocks_changes_no_gradient(make, bases):
    ids = bases.clone()
    ids[0, :9], ids[1, 20:] = PAD, PAD
    model = make("ps", mask_padding=True).double().train()
    wanted = gradients(model, model(ids, labels=ids).loss)
    model.gradient_checkpointing_enable()
    for name, value in gradients(model, model(ids, labels=ids).loss).items():
        assert (value - wanted[name]).abs().max() < 1e-12, name
