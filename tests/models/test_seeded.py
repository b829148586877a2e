import itertools

import pytest
import torch

from genolm.models.build import build_model
from genolm.models.seeded import SeededModel, Segments, why_not_seeded
from genolm.tokenization.vocabulary import MASK

LENGTH = 64
SITES = [(0, 30), (1, 33), (1, 0), (0, 63), (1, 47)]  # tile, position
RADII = [4, 8, 16, LENGTH]


def name_of(rcps, fused, tie, merge):
    words = "ps" if rcps else "ph", "fused" if fused else "plain", "tied" if tie else "own", merge
    return "-".join(words)


VARIANTS = {
    name_of(rcps, fused, tie, merge): {
        "rcps": rcps,
        "fused_add_norm": fused,
        "bidirectional_weight_tie": tie,
        "bidirectional_strategy": merge,
        # Each norm and either bias meets both families.
        "rms_norm": fused == tie,
        "ssm_cfg": {"d_state": 4, "bias": merge == "add", "d_conv": 4 if tie else 2},
        # An odd and an even number of exchanges between the strands.
        "n_layer": 2 if fused else 3,
    }
    for rcps, fused, tie, merge in itertools.product(
        (True, False), (True, False), (True, False), ("add", "ew_multiply")
    )
    if rcps or fused  # without strands to exchange, fused or not is the same
}


def make(options, **others):
    model = build_model("caduceus", "masked_lm", {"d_model": 12, **options, **others}, seed=3)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "embedding" in name:
                parameter.mul_(20)
            elif name.endswith("bias"):
                parameter.add_(torch.randn(parameter.shape, generator=generator) / 10)
    return model.double().eval()


@pytest.fixture(scope="module")
def ids():
    return torch.randint(7, 11, (2, LENGTH), generator=torch.Generator().manual_seed(5))


def segments(ids, sites, radius, *, hide):
    """One segment for each site, `radius` bases on either side of it where there is room."""
    length = min(2 * radius + 1, LENGTH)
    starts = [min(max(site - radius, 0), LENGTH - length) for _, site in sites]
    pieces = []
    for (tile, site), start in zip(sites, starts, strict=True):
        piece = ids[tile].clone()
        piece[site] = MASK if hide else piece[site]
        pieces.append(piece[start : start + length])
    columns = [site - start for (_, site), start in zip(sites, starts, strict=True)]
    tiles = torch.tensor([tile for tile, _ in sites])
    return Segments(
        torch.stack(pieces),
        tiles,
        torch.tensor(starts),
        torch.arange(len(sites)),
        torch.tensor(columns),
    )


def run(model, ids, sites, radius, *, hide=True):
    some = segments(ids, sites, radius, hide=hide)
    with torch.inference_mode():
        starts = some.starts.tolist()
        ends = (some.starts + some.ids.shape[1]).tolist()
        seeded = SeededModel(model)
        return seeded.logits(some, seeded.read(ids, starts, ends))


def full(model, ids, sites, *, hide=True):
    with torch.inference_mode():
        found = []
        for tile, site in sites:
            whole = ids[tile : tile + 1].clone()
            whole[0, site] = MASK if hide else whole[0, site]
            found.append(model(whole).logits[0, site])
        return torch.stack(found)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_segment_as_long_as_its_tile_is_the_full_pass(name, ids):
    model = make(VARIANTS[name])
    torch.testing.assert_close(
        run(model, ids, SITES, LENGTH), full(model, ids, SITES), rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("name", VARIANTS)
def test_what_is_not_changed_is_read_as_before_in_any_segment(name, ids):
    model = make(VARIANTS[name])
    for radius in (4, 16):
        torch.testing.assert_close(
            run(model, ids, SITES, radius, hide=False),
            full(model, ids, SITES, hide=False),
            rtol=0,
            atol=1e-10,
        )


@pytest.mark.parametrize("name", ["ps-fused-tied-add", "ph-fused-own-ew_multiply"])
def test_float32_differs_from_float64_by_rounding_alone(name, ids):
    model = make(VARIANTS[name])
    wide = run(model, ids, SITES, 8)
    narrow = run(model.float(), ids, SITES, 8)
    assert narrow.dtype == torch.float32
    torch.testing.assert_close(narrow.double(), wide, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["ps-fused-tied-add", "ps-plain-own-add", "ph-fused-tied-add"])
def test_errors_shrink_with_the_radius(name, ids):
    model = make(VARIANTS[name], n_layer=3)
    exact = full(model, ids, SITES)
    errors = [float((run(model, ids, SITES, r) - exact).abs().max()) for r in RADII]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 1e-12 > errors[-1]


def test_a_site_has_the_same_numbers_beside_any_others(ids):
    model = make(VARIANTS["ps-fused-tied-add"])
    together = run(model, ids, SITES, 8)
    alone = torch.cat([run(model, ids, [site], 8) for site in SITES])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-10)


def test_several_hidden_bases_of_one_segment(ids):
    model = make(VARIANTS["ps-fused-tied-add"])
    hidden = [20, 22, 27]
    whole = ids[:1].clone()
    whole[0, hidden] = MASK
    three = Segments(
        whole,
        torch.tensor([0]),
        torch.tensor([0]),
        torch.zeros(3, dtype=torch.long),
        torch.tensor(hidden),
    )
    with torch.inference_mode():
        seeded = SeededModel(model)
        found = seeded.logits(three, seeded.read(ids, [0], [LENGTH]))
        expected = model(whole).logits[0, hidden]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_the_memory_of_a_place_is_that_of_its_tensors(ids):
    for name in ("ps-fused-tied-add", "ph-fused-own-add"):
        seeded = SeededModel(make(VARIANTS[name]))
        with torch.inference_mode():
            reading = seeded.read(ids, [16], [LENGTH - 16])
        kept = [x for layer in reading.layers for side in layer for x in (side.window, side.ssm)]
        assert seeded.bytes_a_place() * len(ids) == sum(x.numel() * x.element_size() for x in kept)


@pytest.mark.parametrize(
    ("family", "task", "options", "reason"),
    [
        ("caduceus", "masked_lm", {"mixer": {"name": "hydra"}}, "hydra"),
        ("caduceus", "masked_lm", {"mixer": {"name": "mamba2"}}, "mamba2"),
        ("caduceus", "masked_lm", {"bidirectional": False}, "one direction"),
        ("caduceus", "causal_lm", {"bidirectional": False}, "no masked Caduceus"),
        ("hyenadna", "causal_lm", {"max_seq_len": 66}, "no masked Caduceus"),
    ],
    ids=["hydra", "mamba2", "one-way", "causal", "hyenadna"],
)
def test_models_without_a_seeded_window_are_told_apart(family, task, options, reason):
    model = build_model(family, task, {"d_model": 64, "n_layer": 1, **options}, seed=3)
    found = why_not_seeded(model)
    assert found is not None
    assert reason in found
    assert why_not_seeded(make(VARIANTS["ps-fused-tied-add"])) is None
