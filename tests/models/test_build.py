"""Fresh models: published sizes, initial laws, seeds, refusals."""

import math

import pytest
import torch

from genolm.models import build_model, preset_options
from genolm.models.build import PRESETS
from genolm.modules.linear import Linear

# Parameters of the published models, heads tied.
COUNTS = {
    "hyenadna-tiny-1k-seqlen": 436_096,
    "hyenadna-tiny-1k-seqlen-d256": 1_641_088,
    "hyenadna-small-32k-seqlen": 3_277_568,
    "caduceus-ph_seqlen-1k_d_model-118_n_layer-4": 470_702,
    "caduceus-ps_seqlen-1k_d_model-118_n_layer-4": 470_702,
    "caduceus-ps_seqlen-1k_d_model-256_n_layer-4": 1_934_592,
    "caduceus-ph_seqlen-32k_d_model-256_n_layer-8": 3_864_832,
    "caduceus-ps_seqlen-131k_d_model-256_n_layer-16": 7_725_312,
}


@pytest.mark.parametrize("name", COUNTS)
def test_published_sizes_have_their_published_number_of_parameters(name):
    options = preset_options(name)
    family = options.pop("family")
    task = {"hyenadna": "causal_lm", "caduceus": "masked_lm"}[family]
    model = build_model(family, task, options, seed=0)
    assert sum(parameter.numel() for parameter in model.parameters()) == COUNTS[name]


def test_every_preset_is_a_valid_config():
    for name in PRESETS:
        options = preset_options(name)
        assert options.pop("family") in ("hyenadna", "caduceus")
    assert preset_options("hyenadna-large-1m-seqlen")["max_seq_len"] == 1_000_002


def test_an_unknown_preset_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"hyenadna-tiny-1k, .*caduceus-ph_seqlen-131k"):
        preset_options("hyenadna-tinny")


def spread(weight):
    return weight.std().item()


def test_hyenadna_starts_as_its_paper_says():
    options = {"d_model": 128, "n_layer": 3, "max_seq_len": 128}
    model = build_model("hyenadna", "causal_lm", options, seed=3)
    small = 0.02 / math.sqrt(2 * 3)
    for name, module in model.named_modules():
        if isinstance(module, Linear):
            wanted = small if name.endswith(("out_proj", "fc2")) else 0.02
            assert spread(module.weight) == pytest.approx(wanted, rel=0.15), name
            assert module.bias is None or not module.bias.any(), name
    block = model.hyena.backbone.layers[0]
    assert spread(model.hyena.backbone.embeddings.word_embeddings.weight) == pytest.approx(
        0.02, rel=0.1
    )
    assert spread(block.mixer.filter_fn.bias) == pytest.approx(1, rel=0.2)
    assert (block.mixer.filter_fn.implicit_filter.get_submodule("1").freq == 10).all()
    assert block.mixer.short_filter.weight.abs().max() <= 1 / math.sqrt(3)
    assert (block.norm1.weight == 1).all()
    assert not block.norm1.bias.any()


@pytest.mark.parametrize("rescale", [True, False])
def test_caduceus_starts_as_its_code_does(rescale):
    options = {
        "d_model": 128,
        "n_layer": 4,
        "ssm_cfg": {"bias": True},
        "initializer_cfg": {"rescale_prenorm_residual": rescale},
    }
    model = build_model("caduceus", "masked_lm", options, seed=3)
    mixer = model.caduceus.backbone.layers[0].mixer
    for mamba in (mixer.mamba_fwd, mixer.mamba_rev):
        bound = 1 / math.sqrt(256)
        assert 0.95 * bound < mamba.x_proj.weight.abs().max() <= bound
        step = torch.nn.functional.softplus(mamba.dt_proj.bias)
        assert 1e-3 * 0.99 <= step.min() < 2e-3
        assert 0.05 < step.max() <= 0.1 * 1.01
        rank = 128 // 16
        assert 0.95 / math.sqrt(rank) < mamba.dt_proj.weight.abs().max() <= 1 / math.sqrt(rank)
        assert torch.allclose(mamba.A_log.exp(), torch.arange(1.0, 17.0).expand(256, 16))
        assert (mamba.D == 1).all()
    out_proj = mixer.mamba_fwd.out_proj
    bound = 1 / math.sqrt(256) / (2 if rescale else 1)
    assert 0.95 * bound < out_proj.weight.abs().max() <= bound
    assert not out_proj.bias.any()
    assert not mixer.mamba_fwd.in_proj.bias.any()
    assert spread(model.get_input_embeddings().weight) == pytest.approx(0.02, rel=0.1)


def test_a_fresh_classifier_head_is_small_and_has_no_bias():
    model = build_model("caduceus", "classification", {"d_model": 256, "num_labels": 9}, seed=1)
    assert model.score.bias is None
    assert spread(model.score.weight) == pytest.approx(0.02, rel=0.1)


def test_weights_are_a_function_of_the_seed_alone(kind, make):
    torch.manual_seed(123)
    before = torch.random.get_rng_state()
    first = make(kind, seed=4).state_dict()
    assert torch.random.get_rng_state().equal(before)
    torch.manual_seed(7)
    second, other = make(kind, seed=4).state_dict(), make(kind, seed=5).state_dict()
    assert all(second[name].equal(value) for name, value in first.items())
    assert any(not other[name].equal(value) for name, value in first.items())


@pytest.mark.parametrize(
    ("family", "task", "options", "message"),
    [
        ("bert", "masked_lm", {}, "caduceus, hyenadna"),
        ("hyenadna", "masked_lm", {}, "causal_lm, classification"),
        ("caduceus", "causal_lm", {}, "bidirectional: false"),
        ("caduceus", "causal_lm", {"bidirectional": False, "rcps": True}, "rcps: false"),
        ("caduceus", "masked_lm", {"d_modle": 3}, "'d_modle'; it has .*d_model"),
        ("caduceus", "masked_lm", {"mixer": {"name": "mambo"}}, "hydra, hyena, mamba, mamba2"),
        ("caduceus", "masked_lm", {"d_model": 24, "mixer": {"name": "mamba2"}}, "headdim must"),
        (
            "caduceus",
            "causal_lm",
            {"bidirectional": False, "mixer": {"name": "hydra"}},
            "'hydra' sees later bases",
        ),
        ("hyenadna", "causal_lm", {"mixer": {"name": "hydra"}}, "'hydra' sees later bases"),
        ("caduceus", "masked_lm", {"mixer": {"name": "mamba", "d_stat": 3}}, "d_state"),
        ("caduceus", "masked_lm", {"ssm_cfg": {"d_stat": 3}}, "d_state"),
        ("caduceus", "masked_lm", {"initializer_cfg": {"range": 3}}, "initializer_range"),
        ("caduceus", "masked_lm", {"mixer": {"name": "mamba"}, "ssm_cfg": {"d_conv": 3}}, "mixer"),
        ("caduceus", "masked_lm", {"d_model": "big"}, "d_model must be int"),
        ("caduceus", "masked_lm", {"d_model": 0}, "d_model must be 1 or more"),
        ("caduceus", "masked_lm", {"bidirectional_strategy": "sum"}, "'add' or 'ew_multiply'"),
        ("caduceus", "classification", {"pooling_strategy": "avg"}, "'mean' or 'sum'"),
        ("caduceus", "classification", {"conjoin_train": True, "conjoin_eval": True}, "exclude"),
        ("hyenadna", "causal_lm", {"hyena_order": 1}, "order must be 2"),
        ("hyenadna", "causal_lm", {"emb_dim": 4}, "emb_dim must be odd"),
    ],
)
def test_what_does_not_fit_is_refused_and_the_known_is_listed(family, task, options, message):
    with pytest.raises(ValueError, match=message):
        build_model(family, task, options, seed=0)


def test_numbers_may_come_as_text():
    options = {"d_model": "16", "n_layer": "1", "norm_epsilon": "1e-6", "training_length": "100"}
    model = build_model("caduceus", "masked_lm", options, seed=0)
    assert (model.config.d_model, model.config.norm_epsilon) == (16, 1e-6)
    mixer = {"mixer": {"name": "mamba", "d_state": "4", "dt_min": "1e-4", "dt_rank": "auto"}}
    config = build_model("caduceus", "masked_lm", {"d_model": 16, **mixer}, seed=0).config
    assert (config.mixer_config().d_state, config.mixer_config().dt_min) == (4, 1e-4)


def test_hyenadna_is_as_long_as_its_training_sequences_and_their_special_tokens():
    options = {"d_model": 16, "n_layer": 1, "training_length": 500}
    assert build_model("hyenadna", "causal_lm", options, seed=0).config.max_seq_len == 502
    options["max_seq_len"] = 600
    assert build_model("hyenadna", "causal_lm", options, seed=0).config.max_seq_len == 600
