"""Costs counted from configs against what torch counts while the models run."""

import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from genolm.mixers import MIXERS
from genolm.models.cost import MIXER_COSTS, count_cost
from genolm.models.families import FAMILIES
from genolm.models.presets import PRESETS, preset_options

PRODUCTS = (torch.ops.aten.mm, torch.ops.aten.addmm)
LANGUAGE = ("ph", "ph_untied", "ps", "ps_unfused", "ps_hyena", "ps_mamba2", "hydra", "mamba")
LANGUAGE += ("hyenadna", "hyenadna_mamba", "hyenadna_mamba2")


def count_products(model, ids, *, backward):
    """Operations of all products of two matrices, those of linear layers."""
    with FlopCounterMode(display=False) as counter:
        loss = model(ids, labels=ids).loss
        if backward:
            loss.backward()
    return sum(counter.get_flop_counts()["Global"].get(name, 0) for name in PRODUCTS)


@pytest.mark.parametrize("kind", LANGUAGE)
def test_linear_layers_cost_what_torch_counts(kind, make, bases):
    model = make(kind).train()
    batch, length = bases.shape
    cost = count_cost(model.config, length, batch_size=batch).of_kind("linear")
    for backward, ours in ((False, cost.forward_flops), (True, cost.training_flops)):
        counted = count_products(model, bases, backward=backward)
        assert batch * length * ours == pytest.approx(counted, rel=1e-12)


def test_every_mixer_is_counted():
    assert MIXER_COSTS.keys() == MIXERS.keys()


def config(family, **options):
    return FAMILIES[family].config(**options)


def test_scan_and_convolution_are_counted_by_hand():
    cost = count_cost(config("caduceus", d_model=8, n_layer=3, rcps=True), 100)
    # Two strands, two directions, three layers; 16 inner channels, 16 states, 4 taps.
    assert cost.of_kind("scan").forward_flops == 2 * 2 * 3 * 7 * 16 * 16
    assert cost.of_kind("convolution").forward_flops == 2 * 2 * 3 * 2 * 16 * 4
    assert cost.of_kind("scan").training_flops == 3 * cost.of_kind("scan").forward_flops


def test_only_fourier_transforms_depend_on_the_length_and_filters_are_shared_by_a_batch():
    hyena = config("hyenadna", d_model=8, n_layer=2, max_seq_len=4096)
    short, long = count_cost(hyena, 1024), count_cost(hyena, 2048)
    assert short.of_kind("linear") == long.of_kind("linear")
    steps = long.of_kind("fourier").forward_flops - short.of_kind("fourier").forward_flops
    assert steps == pytest.approx(2 * 8 * 3 * 5)  # layers, channels, transforms
    one = count_cost(hyena, 1024).of_kind("fourier").forward_flops
    many = count_cost(hyena, 1024, batch_size=10**9).of_kind("fourier").forward_flops
    assert one - many == pytest.approx(2 * 8 * 5 * math.log2(2048), rel=1e-6)
    mamba = config("caduceus", d_model=8, n_layer=2)
    assert count_cost(mamba, 1024) == count_cost(mamba, 131_072, batch_size=8)


def test_a_classifier_has_no_language_head():
    caduceus = config("caduceus", d_model=8, n_layer=1, rcps=True)
    whole, body = count_cost(caduceus, 64), count_cost(caduceus, 64, head=False)
    assert whole.forward_flops - body.forward_flops == 2 * 2 * 8 * 16


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_linear_layers_of_published_sizes_cost_six_operations_a_weight(name):
    options = preset_options(name)
    family = FAMILIES[options.pop("family")]
    sizes = family.config(**options)
    with torch.device("meta"):
        model = next(iter(family.tasks.values()))(sizes)
    linear = (module for module in model.modules() if isinstance(module, torch.nn.Linear))
    weights = sum({id(layer.weight): layer.weight.numel() for layer in linear}.values())
    strands = 2 if options.get("rcps") else 1
    cost = count_cost(sizes, 1024).of_kind("linear")
    # The first layer of a filter gives no gradient to its input.
    assert cost.training_flops == pytest.approx(6 * strands * weights, rel=1e-3)


def test_a_backward_pass_moves_about_twice_the_bytes():
    cost = count_cost(config("caduceus", d_model=64, n_layer=4), 1024)
    assert 2.2 < cost.training_bytes / cost.forward_bytes < 3
