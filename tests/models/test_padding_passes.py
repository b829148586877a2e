"""However the rows of a padded batch are divided into passes, each gives what it gives alone."""

import pytest
import torch

from genolm.models import padding

PAD = 4
CAUSAL = ["mamba", "mamba2", "hyenadna", "hyenadna_mamba2"]
GROUPED = ["ph", "ps", "hydra"]
# First position of each sequence in a row of 61 tokens, and its length.
PLACES = {
    "left": [(61 - n, n) for n in (60, 9, 31)],
    "right": [(0, n) for n in (9, 61, 2)],
    "both": [(3, 40), (0, 0), (31, 30), (17, 1), (2, 40)],
    "a row": [(7, 40)],
}
CASES = [(kind, place, torch.float64) for kind in CAUSAL for place in PLACES]
CASES += [(kind, "both", torch.float64) for kind in GROUPED]
CASES += [(kind, "both", torch.float32) for kind in CAUSAL + GROUPED]
MOST = {torch.float64: 1e-10, torch.float32: 1e-5}


@pytest.fixture
def build(make):
    """A backbone alone, of a kind; Mamba-2 in a plain Mamba's place is one more."""

    def backbone(kind):
        mixer = {"name": "mamba2", "headdim": 8, "learnable_init_states": True}
        changes = {"ssm_cfg": None, "mixer": mixer} if kind == "mamba2" else {}
        name = "mamba" if kind == "mamba2" else kind
        return make(name, mask_padding=True, **changes).base_model

    return backbone


def draw(places):
    """Ids whose padding may not even be read, and the mask that says where it is."""
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(7, 12, (len(places), 61), generator=generator)
    mask = torch.zeros_like(ids)
    for row, (start, length) in enumerate(places):
        mask[row, start : start + length] = 1
    return ids.masked_fill(mask == 0, -100), mask


def read(model, mask, **inputs):
    """All states of a batch, one after another, and a sum whose gradients tell them apart."""
    output = model(**inputs, attention_mask=mask, output_hidden_states=True)
    states = torch.cat([output.last_hidden_state, *output.hidden_states], dim=-1)
    weights = torch.arange(states[0].numel(), device=states.device).view(states[0].shape).sin()
    return states, weights.to(states.dtype)


def gradients(model, total, *others):
    return torch.autograd.grad(total, [*model.parameters(), *others])


@pytest.mark.parametrize(("kind", "place", "dtype"), CASES)
def test_states_and_gradients_are_those_of_each_row_alone(kind, place, dtype, build):
    model, places, most = build(kind).to(dtype), PLACES[place], MOST[dtype]
    ids, mask = draw(places)
    found, weights = read(model, mask, input_ids=ids)
    wanted = torch.zeros_like(found)
    total = torch.zeros((), dtype=dtype)
    for row, (start, length) in enumerate(places):
        if length:
            one = slice(start, start + length)
            alone, _ = read(model, None, input_ids=ids[row : row + 1, one])
            wanted[row, one] = alone[0].detach()
            total = total + (alone[0] * weights[one]).sum()
    assert (found - wanted).abs().max() < most * wanted.abs().max()
    assert not found[mask == 0].any()
    pairs = zip(gradients(model, (found * weights).sum()), gradients(model, total), strict=True)
    for together, single in pairs:
        assert (together - single).abs().max() <= most * max(1, single.abs().max())
        assert single.any()


@pytest.mark.parametrize("kind", [*CAUSAL, "ph"])
def test_what_embeddings_hold_at_padding_has_no_influence(kind, build):
    model = build(kind).double()
    ids, mask = draw(PLACES["both"])
    embedded = model.get_input_embeddings()(ids.clamp(min=0)).detach()
    embedded[mask == 0] = torch.nan
    embedded.requires_grad_()
    wanted, _ = read(model, mask, input_ids=ids)
    found, weights = read(model, mask, inputs_embeds=embedded)
    assert (found - wanted).abs().max() < 1e-12
    *own, given = torch.autograd.grad(
        (found * weights).sum(), [*model.parameters(), embedded], allow_unused=True
    )
    assert all(one.isfinite().all() for one in own if one is not None)
    assert given[mask == 1].any()
    assert given.isfinite().all()
    assert not given[mask == 0].any()


@pytest.mark.parametrize("kind", ["mamba", "hyenadna", "ph"])
def test_a_batch_without_any_token_gives_zeros_and_no_gradient(kind, build):
    model = build(kind)
    ids = torch.full((2, 9), PAD)
    found, _ = read(model, None, input_ids=ids)
    assert found.shape[:2] == (2, 9)
    assert not found.any()
    assert not any(one.any() for one in gradients(model, found.sum()))


@pytest.mark.parametrize(
    ("kind", "lengths", "passes"),
    [
        *((kind, (60, 9, 31, 1, 58, 0), [(5, 60)]) for kind in CAUSAL),
        ("ph", (60, 9, 31, 9, 58, 0), [(1, 60), (1, 58), (1, 31), (2, 9)]),
        # Rows a few times shorter than the longest have a pass of their own.
        ("mamba", (1000, 372, 371, 58, 56, 1), [(2, 1000), (2, 371), (2, 56)]),
    ],
)
def test_rows_go_through_a_model_in_few_passes(kind, lengths, passes, build, monkeypatch):
    model, shapes = build(kind), []
    run = model.backbone.forward

    def watch(ids, *others):
        shapes.append(tuple(ids.shape))
        return run(ids, *others)

    monkeypatch.setattr(model.backbone, "forward", watch)
    ids = torch.full((len(lengths), max(lengths) + 3), PAD)
    for row, length in enumerate(lengths):
        ids[row, row % 3 : row % 3 + length] = 8
    model(ids)
    assert shapes == passes


def test_little_is_computed_for_padding():
    for counts in ([5000, 2500, 2371, 2370, 60, 3, 0], list(range(2, 574))):
        passes = padding._passes(counts, True)
        assert sorted(row for rows in passes for row in rows) == [
            row for row, count in enumerate(counts) if count
        ]
        for rows in passes:
            most = max(counts[row] for row in rows)
            assert all(most <= 2 * (counts[row] + padding.SPARE) + 1 for row in rows)
        assert len(passes) <= 4
