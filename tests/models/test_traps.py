"""The ten places where a reading of the papers gives other numbers than the published models."""

import json
import pickle

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from sklearn.metrics import matthews_corrcoef, roc_auc_score
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

import genolm
import genolm.models
from genolm.data.class_folder import read_classes
from genolm.data.labels import LabelSpace
from genolm.metrics.baselines import task_metrics
from genolm.models.checkpoint import read_tensors
from genolm.models.hyenadna.convert_hyenadna import convert_folder
from tests.models.original import caduceus, hyenadna, losses
from tests.models.original.folders import (
    DNA_COMPLEMENT,
    make_classifier,
    make_config,
    make_tensors,
    write_folder,
)
from tests.models.original.lightning import repeat_shared, write_lightning

FAR = 0.05  # over the largest value: what falling into a trap costs at least


def relative(ours, theirs):
    ours = ours.detach().double().numpy() if isinstance(ours, torch.Tensor) else ours
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def read(folder, auto=AutoModelForMaskedLM, **options):
    return auto.from_pretrained(folder, dtype=torch.float64, trust_remote_code=False, **options)


@pytest.fixture
def ids():
    return np.random.default_rng(3).integers(7, 12, (2, 33))


@pytest.fixture
def publish(tmp_path):
    """Write a folder of a family: its path, config and tensors."""

    def write(family, *, seed=4, drawn=None, **options):
        config = make_config(family, **options)
        tensors = make_tensors(config, seed, **(drawn or {}))
        place = tmp_path / f"folder_{len(list(tmp_path.iterdir()))}"
        return write_folder(place, config, tensors), config, tensors

    return write


@pytest.mark.parametrize("n_layer", [1, 2, 3, 4])
def test_trap_1_fused_blocks_exchange_the_strands(n_layer, publish, ids):
    for fused in (True, False):
        folder, config, tensors = publish(
            "caduceus", rcps=True, fused_add_norm=fused, n_layer=n_layer
        )
        model = read(folder)
        output = model(torch.from_numpy(ids), output_hidden_states=True)
        right = caduceus.language_model(tensors, config, ids)
        wrong = caduceus.language_model(tensors, config, ids, exchange=not fused)
        assert relative(output.logits, right.logits) < 1e-9
        assert relative(wrong.logits, right.logits) > FAR
        # Both functions are equivariant: that law does not tell them apart.
        for function in (right, wrong):
            exchange = fused if function is right else not fused
            there = caduceus.language_model(
                tensors, config, DNA_COMPLEMENT[ids[:, ::-1]], exchange=exchange
            )
            assert relative(there.logits[:, ::-1][..., DNA_COMPLEMENT], function.logits) < 1e-9


def test_trap_2_the_filters_have_a_floor_of_5_hundredths(publish, ids):
    folder, config, tensors = publish("hyenadna")
    assert "modulation_shift" not in config
    right = hyenadna.language_model(tensors, config, ids, shift=0.05)
    wrong = hyenadna.language_model(tensors, config, ids, shift=0.0)
    assert relative(wrong.logits, right.logits) > FAR
    inputs = torch.from_numpy(ids)
    assert relative(read(folder, AutoModelForCausalLM)(inputs).logits, right.logits) < 1e-9
    as_trained = read(folder, AutoModelForCausalLM, modulation_shift=0.0)
    assert relative(as_trained(inputs).logits, wrong.logits) < 1e-9


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("caduceus", {"bias": True}),
        ("caduceus", {"rcps": True}),
        ("caduceus", {"rcps": True, "fused_add_norm": False}),
        ("hyenadna", {"tie_word_embeddings": True}),
        ("hyenadna", {"num_inner_mlps": 3, "tie_word_embeddings": True}),
    ],
)
def test_trap_3_shared_tensors_may_be_in_the_file_or_not(family, options, publish, ids, tmp_path):
    folder, config, tensors = publish(family, **options)
    whole = repeat_shared(config, tensors)
    assert len(whole) >= len(tensors) + 3
    again = write_folder(
        tmp_path / "whole", json.loads((folder / "config.json").read_text()), whole
    )
    original = hyenadna if family == "hyenadna" else caduceus
    wanted = original.language_model(tensors, config, ids).logits
    auto = AutoModelForCausalLM if family == "hyenadna" else AutoModelForMaskedLM
    for place in (folder, again):
        assert relative(read(place, auto)(torch.from_numpy(ids)).logits, wanted) < 1e-9
        loaded, _ = genolm.load(place, dtype="float64")
        assert relative(loaded(torch.from_numpy(ids)).logits, wanted) < 1e-9
        loaded.save_pretrained(tmp_path / "saved")
        # What is written has each of them once, whatever was read.
        saved = load_file(tmp_path / "saved" / "model.safetensors")
        assert {key for key in saved if not key.endswith(("pos_emb.z", "pos_emb.t"))} <= set(
            tensors
        )


def test_trap_3_norms_are_named_after_the_strands(publish):
    for fused, name in ((True, "norm"), (False, "norm.submodule")):
        folder, _, tensors = publish("caduceus", rcps=True, fused_add_norm=fused)
        key = f"caduceus.backbone.layers.0.{name}.weight"
        ours = read(folder).state_dict()
        assert np.array_equal(ours[key].numpy(), tensors[key])
        last = key.replace("layers.0.norm", "norm_f")
        assert np.array_equal(ours[last].numpy(), tensors[last])


@pytest.mark.parametrize("wrapped", [False, True])
def test_trap_3_keys_of_checkpointed_layers_say_layer(wrapped, publish, ids, tmp_path):
    _, config, tensors = publish("hyenadna", tie_word_embeddings=True)
    place = tmp_path / "original"
    folder = write_lightning(place, config, tensors, wrapped=wrapped, local_order=3)
    with torch.no_grad():
        ours = convert_folder(folder).double()(torch.from_numpy(ids)).logits
    assert relative(ours, hyenadna.language_model(tensors, config, ids).logits) < 1e-9


def test_trap_4_lightning_files_are_read_without_running_them(publish, tmp_path):
    _, config, tensors = publish("hyenadna")
    folder = write_lightning(tmp_path / "original", config, tensors)
    with pytest.raises(pickle.UnpicklingError, match="Weights only"):
        torch.load(folder / "weights.ckpt", weights_only=True)
    found = read_tensors(folder / "weights.ckpt")
    for key, value in tensors.items():
        assert np.array_equal(found[f"model.{key.removeprefix('hyena.')}"].numpy(), value)


def test_trap_5_the_complement_is_read_by_number_and_the_buffer_wins(publish, ids, tmp_path):
    _, config, tensors = publish("caduceus", rcps=True)
    wanted = caduceus.language_model(tensors, config, ids).logits
    by_text = dict(sorted(config["complement_map"].items()))
    in_order = np.array(list(by_text.values()))
    assert not np.array_equal(in_order, DNA_COMPLEMENT)
    lost = {key: value for key, value in tensors.items() if "complement_map" not in key}
    written = {**config, "complement_map": by_text}
    without = write_folder(tmp_path / "without_buffer", written, lost)
    assert relative(read(without)(torch.from_numpy(ids)).logits, wanted) < 1e-9
    fallen = {key: in_order if "complement_map" in key else value for key, value in tensors.items()}
    assert relative(caduceus.language_model(fallen, config, ids).logits, wanted) > FAR
    # A file that has the buffer is right about it, whatever the config says.
    identity = {str(index): index for index in range(16)}
    other = write_folder(tmp_path / "other", {**config, "complement_map": identity}, tensors)
    assert relative(read(other)(torch.from_numpy(ids)).logits, wanted) < 1e-9


@pytest.mark.parametrize("stated", [{}, {"pad_token_id": None}])
def test_trap_6_padding_is_4_where_the_config_does_not_say(stated, publish, ids):
    folder, config, tensors = publish("caduceus", **stated)
    assert config.get("pad_token_id") is None
    assert AutoConfig.from_pretrained(folder, trust_remote_code=False).pad_token_id == 4
    labels = ids.copy()
    labels[:, 10:] = 4
    logits = caduceus.language_model(tensors, config, ids).logits
    output = read(folder)(torch.from_numpy(ids), labels=torch.from_numpy(labels))
    assert output.loss.item() == pytest.approx(losses.masked_lm_loss(logits, labels), rel=1e-9)
    counting = losses.surprisal(logits, labels).mean()
    assert abs(output.loss.item() - counting) > FAR


@pytest.mark.parametrize("taps", [3, 5])
def test_trap_7_local_order_is_the_length_of_the_short_convolution(taps, publish, ids, tmp_path):
    for name in ("local_order", "short_filter_order"):
        _, config, tensors = publish("hyenadna", short_filter_order=taps, tie_word_embeddings=True)
        folder = write_lightning(tmp_path / name, config, tensors, **{name: taps})
        model = convert_folder(folder).double()
        assert (model.config.hyena_order, model.config.short_filter_order) == (2, taps)
        wanted = hyenadna.language_model(tensors, config, ids).logits
        assert relative(model(torch.from_numpy(ids)).logits, wanted) < 1e-9


@pytest.mark.parametrize("family", ["caduceus", "hyenadna"])
def test_trap_8_padding_is_a_token_like_any_other(family, publish, ids, tmp_path):
    folder, config, tensors = publish(family)
    original = hyenadna if family == "hyenadna" else caduceus
    auto = AutoModelForCausalLM if family == "hyenadna" else AutoModelForMaskedLM
    padded = np.concatenate([np.full((2, 9), losses.PAD), ids], axis=1)
    wanted = original.language_model(tensors, config, padded).logits
    model = read(folder, auto)
    assert relative(model(torch.from_numpy(padded)).logits, wanted) < 1e-9
    alone = original.language_model(tensors, config, ids).logits
    assert relative(wanted[:, 9:], alone) > FAR
    # Classifiers of Caduceus pool over the padding, too.
    if family == "caduceus":
        config = make_classifier(config, 3)
        tensors = make_tensors(config, 5)
        scorer, _ = genolm.load(write_folder(tmp_path / "classifier", config, tensors))
        right = caduceus.classifier(tensors, config, padded)
        assert relative(scorer(torch.from_numpy(padded)).logits, right.logits) < 2e-5
        head = tensors["score.weight"]
        assert relative(right.last_hidden[:, 9:].mean(1) @ head.T, right.logits) > FAR


@pytest.mark.parametrize("rcps", [False, True])
@pytest.mark.parametrize("fused", [False, True])
def test_trap_9_hidden_states_of_caduceus_enter_blocks_without_the_residual(
    fused, rcps, publish, ids
):
    folder, config, tensors = publish("caduceus", rcps=rcps, fused_add_norm=fused, n_layer=3)
    states = read(folder)(torch.from_numpy(ids), output_hidden_states=True).hidden_states
    wanted = caduceus.run_backbone(tensors, config, ids)
    assert len(states) == (4 if fused else 3)
    for ours, theirs in zip(states, wanted, strict=False):
        assert relative(ours, theirs) < 1e-9
    summed = wanted[0] + wanted[1]
    assert relative(states[1], summed) > FAR


def test_trap_9_hidden_states_of_hyenadna_are_the_residual_stream(publish, ids):
    folder, config, tensors = publish("hyenadna", n_layer=3)
    model = read(folder, AutoModelForCausalLM)
    states = model(torch.from_numpy(ids), output_hidden_states=True).hidden_states
    wanted = hyenadna.run_backbone(tensors, config, ids)
    assert len(states) == 5
    for ours, theirs in zip(states, wanted, strict=True):
        assert relative(ours, theirs) < 1e-9
    assert relative(states[2] - states[1], wanted[2]) > FAR


def test_trap_10_metrics_are_of_the_whole_set():
    rng = np.random.default_rng(1)
    labels = np.sort(rng.integers(0, 2, 96))
    margin = labels - 0.5 + rng.standard_normal(96)
    found = task_metrics(labels, np.stack([-margin, margin], 1), task="classification")
    said = (margin > 0).astype(int)
    assert found["mcc"] == pytest.approx(matthews_corrcoef(labels, said))
    batches = zip(labels.reshape(8, 12), said.reshape(8, 12), strict=True)
    assert abs(found["mcc"] - np.mean([matthews_corrcoef(*batch) for batch in batches])) > FAR
    # And AUROC ranks the scores, not the decisions.
    assert found["auroc"] == pytest.approx(roc_auc_score(labels, margin))
    assert abs(found["auroc"] - roc_auc_score(labels, said)) > FAR


def test_trap_10_class_ids_are_sorted_names(tmp_path):
    # Made in another order than the sorted one, and another one for each split.
    orders = {
        "train": ("positive", "negative", "ambiguous"),
        "test": ("negative", "ambiguous", "positive"),
    }
    for split, names in orders.items():
        for name in names:
            (tmp_path / split / name).mkdir(parents=True)
            (tmp_path / split / name / "1.txt").write_text("ACGT")
    train, test = (read_classes(tmp_path / split, "sequence") for split in orders)
    space = LabelSpace.learn(train, "classification")
    assert space.names == ("ambiguous", "negative", "positive")
    for part in (train, test):
        assert [space.names[index] for index in space.encode(part)] == list(part.labels)
