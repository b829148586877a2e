"""Folders as published, of many sizes and options: every class gives the restatement's numbers."""

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
)

import genolm
import genolm.models
from genolm_kernels import use_backend
from tests.models.original import caduceus, hyenadna, losses
from tests.models.original.folders import (
    make_classifier,
    make_config,
    make_tensors,
    write_folder,
)

# dtype, backends, and largest difference over largest value.
RUNS = [
    (torch.float64, ["reference"], 1e-9),
    (torch.float32, ["reference", "cpu"], 2e-5),
]


@dataclass(frozen=True)
class Case:
    """Options that differ from the published ones, the input's length, and what files hold."""

    options: dict[str, Any] = field(default_factory=dict)
    length: int = 31
    buffers: bool = True


def case(*, length: int = 31, buffers: bool = True, **options: Any) -> Case:
    return Case(options, length, buffers)


EVERYTHING = {
    "d_model": 9,
    "n_layer": 3,
    "rms_norm": False,
    "bidirectional_weight_tie": False,
    "d_state": 3,
    "d_conv": 2,
    "expand": 3,
    "dt_rank": 2,
    "bias": True,
    "conv_bias": False,
}
CADUCEUS = {
    "published": case(),
    "one_layer": case(n_layer=1, length=40),
    "three_layers": case(n_layer=3, length=29),
    "six_layers": case(n_layer=6, length=12),
    "length_1": case(length=1),
    "length_2": case(length=2, n_layer=3),
    "length_97": case(length=97, n_layer=1),
    "d_model_7": case(d_model=7),
    "d_model_17": case(d_model=17, n_layer=1),
    "d_state_8": case(d_state=8),
    "d_state_1": case(d_state=1),
    "d_conv_2": case(d_conv=2, length=2),
    "d_conv_3": case(d_conv=3),
    "d_conv_7_longer_than_the_input": case(d_conv=7, length=5),
    "expand_1": case(expand=1),
    "expand_3": case(expand=3),
    "dt_rank_5": case(dt_rank=5),
    "conv_bias_false": case(conv_bias=False),
    "bias": case(bias=True, n_layer=3),
    "bias_multiplied": case(bias=True, bidirectional_strategy="ew_multiply"),
    "untied": case(bidirectional_weight_tie=False, n_layer=3),
    "untied_bias_multiplied": case(
        bidirectional_weight_tie=False, bias=True, bidirectional_strategy="ew_multiply"
    ),
    "multiplied": case(bidirectional_strategy="ew_multiply"),
    "layer_norm": case(rms_norm=False),
    "layer_norm_unfused": case(rms_norm=False, fused_add_norm=False, length=37),
    "unfused": case(fused_add_norm=False, n_layer=3),
    "unfused_one_layer": case(fused_add_norm=False, n_layer=1),
    "residual_in_fp32": case(residual_in_fp32=True),
    "norm_epsilon": case(norm_epsilon=0.3),
    "one_direction": case(bidirectional=False, n_layer=3),
    "one_direction_unfused": case(bidirectional=False, fused_add_norm=False, d_state=5),
    "vocab_12_of_16_rows": case(vocab_size=12),
    "vocab_12_of_12_rows": case(vocab_size=12, pad_vocab_size_multiple=1),
    "everything_at_once": case(length=13, **EVERYTHING),
}
HYENADNA = {
    "published": case(),
    "one_layer": case(n_layer=1, length=40),
    "five_layers": case(n_layer=5, length=13),
    "length_1": case(length=1),
    "length_2": case(length=2, n_layer=3),
    "length_is_l_max": case(length=41, max_seq_len=41),
    "l_max_2": case(length=2, max_seq_len=2),
    "l_max_much_longer": case(length=19, max_seq_len=1026),
    "l_max_much_longer_without_buffers": case(length=19, max_seq_len=1026, buffers=False),
    "without_buffers": case(buffers=False, length=61),
    "without_buffers_emb_dim_3": case(buffers=False, emb_dim=3),
    "without_buffers_emb_dim_7": case(buffers=False, emb_dim=7, d_model=7),
    "emb_dim_3": case(emb_dim=3),
    "emb_dim_7": case(emb_dim=7),
    "filter_order_5": case(filter_order=5),
    "num_inner_mlps_1": case(num_inner_mlps=1),
    "num_inner_mlps_3": case(num_inner_mlps=3),
    "short_filter_order_2": case(short_filter_order=2),
    "short_filter_order_5": case(short_filter_order=5, length=3),
    "activation_freq_1": case(activation_freq=1),
    "fixed_frequencies": case(train_freq=False, activation_freq=3.5),
    "tied": case(tie_word_embeddings=True),
    "final_norm_epsilon": case(layer_norm_epsilon=0.5),
    "d_inner_7": case(d_inner=7),
    "vocab_12_of_12_rows": case(pad_vocab_size_multiple=1),
    "vocab_16": case(vocab_size=16),
}
CASES = {
    **{f"ph_{name}": ("caduceus", {}, one) for name, one in CADUCEUS.items()},
    **{f"ps_{name}": ("caduceus", {"rcps": True}, one) for name, one in CADUCEUS.items()},
    **{f"hyenadna_{name}": ("hyenadna", {}, one) for name, one in HYENADNA.items()},
}


@pytest.fixture(params=CASES, scope="module")
def published(request, tmp_path_factory):
    """A folder, its config and tensors, ids, labels, and what the original makes of them."""
    family, options, one = CASES[request.param]
    seed = list(CASES).index(request.param)
    config = make_config(family, **one.options, **options)
    drawn = {"buffers": one.buffers} if family == "hyenadna" else {}
    tensors = make_tensors(config, seed, **drawn)
    folder = write_folder(tmp_path_factory.mktemp("published"), config, tensors)
    rng = np.random.default_rng(seed)
    ids, labels = (rng.integers(0, 12, (3, one.length)) for _ in range(2))
    labels[0, 0] = 7  # so that something counts
    original = hyenadna if family == "hyenadna" else caduceus
    return folder, config, ids, labels, original.language_model(tensors, config, ids)


def relative(ours, theirs):
    return float(np.abs(ours.detach().double().numpy() - theirs).max() / np.abs(theirs).max())


def same_states(ours, theirs, tolerance):
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert relative(one, other) < tolerance


def language_class(config):
    return AutoModelForCausalLM if config["model_type"] == "hyenadna" else AutoModelForMaskedLM


def test_language_models_give_the_originals_numbers(published):
    folder, config, ids, labels, wanted = published
    causal = config["model_type"] == "hyenadna"
    loss = losses.causal_lm_loss if causal else losses.masked_lm_loss
    inputs = {"input_ids": torch.from_numpy(ids), "labels": torch.from_numpy(labels)}
    for dtype, backends, tolerance in RUNS:
        model = language_class(config).from_pretrained(folder, dtype=dtype, trust_remote_code=False)
        for backend in backends:
            with use_backend(backend), torch.no_grad():
                output = model(**inputs, output_hidden_states=True)
            assert relative(output.logits, wanted.logits) < tolerance
            same_states(output.hidden_states, wanted.hidden_states, tolerance)
            if not causal or ids.shape[1] > 1:
                assert output.loss.item() == pytest.approx(
                    loss(wanted.logits, labels), rel=tolerance
                )


def test_the_backbone_alone_and_load_give_the_same_numbers(published):
    folder, _, ids, _, wanted = published
    with torch.no_grad():
        backbone = AutoModel.from_pretrained(folder, dtype=torch.float64, trust_remote_code=False)
        output = backbone(torch.from_numpy(ids), output_hidden_states=True)
        assert relative(output.last_hidden_state, wanted.last_hidden) < 1e-9
        same_states(output.hidden_states, wanted.hidden_states, 1e-9)
        model, _ = genolm.load(folder)
        assert relative(model(torch.from_numpy(ids)).logits, wanted.logits) < 2e-5
    assert not model.training


@pytest.mark.parametrize(
    "published", ["ph_one_direction", "ph_one_direction_unfused"], indirect=True
)
def test_a_plain_mamba_is_a_causal_model_too(published):
    folder, _, ids, labels, wanted = published
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    with torch.no_grad():
        output = model(torch.from_numpy(ids), labels=torch.from_numpy(labels))
    assert relative(output.logits, wanted.logits) < 1e-9
    assert output.loss.item() == pytest.approx(losses.causal_lm_loss(wanted.logits, labels))


def test_a_saved_copy_is_the_same_model_to_the_last_bit(published, tmp_path):
    folder, config, ids, _, _ = published
    first = language_class(config).from_pretrained(folder, trust_remote_code=False)
    first.save_pretrained(tmp_path / "again")
    again = language_class(config).from_pretrained(tmp_path / "again", trust_remote_code=False)
    written = json.loads((tmp_path / "again" / "config.json").read_text())
    assert "auto_map" not in written
    assert {name: written[name] for name in ("model_type", "architectures")} == {
        name: config[name] for name in ("model_type", "architectures")
    }
    assert first.state_dict().keys() == again.state_dict().keys()
    for name, value in first.state_dict().items():
        assert value.equal(again.state_dict()[name]), name
    with torch.no_grad():
        assert first(torch.from_numpy(ids)).logits.equal(again(torch.from_numpy(ids)).logits)


@dataclass(frozen=True)
class Classifier:
    """A family's options, what from_pretrained is told, classes, and where the padding is."""

    family: str
    options: dict[str, Any] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)
    classes: int = 3
    length: int = 23
    padding: tuple[int, int] = (0, 0)


PS, CONJOINED, BY_MAX = {"rcps": True}, {"conjoin_eval": True}, {"pooling_strategy": "max"}
CLASSIFIERS = {
    "ph": Classifier("caduceus"),
    "ph_max": Classifier("caduceus", {}, BY_MAX, classes=2),
    "ph_both_strands": Classifier("caduceus", {}, CONJOINED, length=17),
    "ph_both_strands_max": Classifier("caduceus", {"n_layer": 1}, {**CONJOINED, **BY_MAX}),
    "ph_left_padded": Classifier("caduceus", {"fused_add_norm": False}, padding=(9, 0)),
    "ps": Classifier("caduceus", {**PS, "n_layer": 3}),
    "ps_max": Classifier("caduceus", {**PS, "n_layer": 1}, BY_MAX),
    "ps_unfused_length_1": Classifier("caduceus", {**PS, "fused_add_norm": False}, length=1),
    "ps_untied_left_padded": Classifier(
        "caduceus", {**PS, "bidirectional_weight_tie": False}, classes=5, padding=(4, 0)
    ),
    "mamba": Classifier("caduceus", {"bidirectional": False, "d_state": 8}),
    "hyenadna": Classifier("hyenadna"),
    "hyenadna_left_padded": Classifier("hyenadna", {"n_layer": 1}, padding=(6, 0)),
    "hyenadna_right_padded": Classifier("hyenadna", padding=(0, 6), classes=2),
    "hyenadna_length_2": Classifier("hyenadna", length=2),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_give_the_originals_numbers(name, tmp_path):
    one = CLASSIFIERS[name]
    config = make_classifier(make_config(one.family, **one.options), one.classes)
    tensors = make_tensors(config, 7)
    folder = write_folder(tmp_path, config, tensors)
    rng = np.random.default_rng(8)
    both = (2,) if "conjoin_eval" in one.told else ()
    ids = rng.integers(7, 12, (3, one.length, *both))
    before, behind = one.padding
    ids[0, :before] = ids[0, one.length - behind :] = losses.PAD
    labels = rng.integers(0, one.classes, 3)
    if one.family == "hyenadna":
        wanted = hyenadna.classifier(tensors, config, ids)
    else:
        wanted = caduceus.classifier(tensors, config, ids, one.told.get("pooling_strategy", "mean"))
    loss = losses.classification_loss(wanted.logits, labels)
    inputs = {"input_ids": torch.from_numpy(ids), "labels": torch.from_numpy(labels)}
    for dtype, backends, tolerance in RUNS:
        model = AutoModelForSequenceClassification.from_pretrained(
            folder, dtype=dtype, trust_remote_code=False, **one.told
        )
        for backend in backends:
            with use_backend(backend), torch.no_grad():
                output = model(**inputs, output_hidden_states=True)
            assert relative(output.logits, wanted.logits) < tolerance
            assert output.loss.item() == pytest.approx(loss, rel=tolerance)
            same_states(output.hidden_states, wanted.hidden_states, tolerance)
    loaded, _ = genolm.load(folder, options=one.told)
    assert relative(loaded(torch.from_numpy(ids)).logits, wanted.logits) < 2e-5
