"""Original HyenaDNA checkpoints: outputs, gradients, heads and refusals."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from genolm.errors import InputError, UsageError
from genolm.heads.pooling import pool
from genolm.models import load
from genolm.models.checkpoint import read_tensors
from genolm.models.hyenadna.convert_hyenadna import convert_folder, convert_options, convert_tensors

GOLDEN = Path(__file__).parents[2] / "fixtures" / "golden"
FOLDERS = sorted(path.name for path in GOLDEN.glob("hyenadna_orig*"))
TOLERANCE = {"f32": (2e-5, 1e-5, 2e-4), "f64": (1e-9, 1e-9, 1e-9)}


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(GOLDEN / "hyenadna_orig", tmp_path / "original"))


@pytest.mark.parametrize("precision", ["f32", "f64"])
@pytest.mark.parametrize("name", FOLDERS)
def test_a_converted_checkpoint_computes_what_the_original_does(name, precision, golden, error):
    case = golden(name)
    for_values, for_loss, for_gradients = TOLERANCE[precision]
    model = convert_folder(case.folder)
    model = model.double() if precision == "f64" else model
    ids = case.tensor("input_ids")
    output = model(ids, labels=ids, output_hidden_states=True)
    assert error(output.logits, case.arrays[f"lm_logits_{precision}"]) < for_values
    assert error(output.hidden_states[-1], case.arrays[f"hidden_{precision}"]) < for_values
    assert error(output.loss, case.arrays[f"lm_loss_{precision}"]) < for_loss
    output.loss.backward()
    prefix = {"f32": "grad:", "f64": "grad64:"}[precision]
    parameters = dict(model.hyena.named_parameters())
    stored = [key for key in case.arrays if key.startswith(prefix)]
    assert stored
    for key in stored:
        gradient = parameters[key.removeprefix(prefix)].grad
        assert error(gradient, case.arrays[key]) < for_gradients, key


@pytest.mark.parametrize("name", FOLDERS)
def test_the_filters_are_the_originals(name, golden, error):
    case = golden(name)
    mixer = convert_folder(case.folder).hyena.backbone.layers[0].mixer
    taps = mixer.filter_fn(case.arrays["input_ids"].shape[1])
    assert error(taps, case.arrays["layer0_filter_f32"]) < 2e-5


@pytest.mark.parametrize("mode", ["last", "first", "pool", "sum"])
def test_the_originals_heads_are_pooling_and_one_layer(mode, golden, error):
    case = golden("hyenadna_orig")
    hidden = convert_folder(case.folder).hyena(case.tensor("input_ids")).last_hidden_state
    pooled = pool(hidden, "mean" if mode == "pool" else mode)
    scores = torch.nn.functional.linear(
        pooled, case.tensor("head_weight"), case.tensor("head_bias")
    )
    assert error(scores, case.arrays[f"cls_{mode}_f32"]) < 2e-5


def test_a_converted_model_saved_is_a_folder_like_any_other(golden, tmp_path):
    case = golden("hyenadna_orig_gradckpt_keys")
    model = convert_folder(case.folder)
    model.save_pretrained(tmp_path)
    again, _ = load(tmp_path)
    ids = case.tensor("input_ids")
    assert again(ids).logits.equal(model(ids).logits)
    assert again.lm_head.weight is again.get_input_embeddings().weight


def test_position_tables_may_be_absent(folder, golden, error):
    tensors = read_tensors(folder / "weights.ckpt")
    derived = ("pos_emb.z", "pos_emb.t", "deltas")
    kept = {key: value for key, value in tensors.items() if not key.endswith(derived)}
    torch.save({"state_dict": kept}, folder / "weights.ckpt")
    case = golden("hyenadna_orig")
    logits = convert_folder(folder)(case.tensor("input_ids")).logits
    assert error(logits, case.arrays["lm_logits_f32"]) < 2e-5


def test_a_head_of_its_own_stays_its_own(folder):
    tensors = read_tensors(folder / "weights.ckpt")
    tensors["model.lm_head.weight"] = tensors["model.lm_head.weight"] + 1
    torch.save({"state_dict": tensors}, folder / "weights.ckpt")
    model = convert_folder(folder)
    assert not model.config.tie_word_embeddings
    assert model.lm_head.weight.equal(tensors["model.lm_head.weight"])


def test_options_are_translated():
    layer = {"_name_": "hyena", "l_max": 1026, "w": 10, "local_order": 3, "filter_order": 64}
    options = convert_options({"d_model": 8, "n_layer": 2, "resid_dropout": 0.0, "layer": layer})
    assert options == {
        "d_model": 8,
        "n_layer": 2,
        "max_seq_len": 1026,
        "activation_freq": 10,
        "short_filter_order": 3,
        "filter_order": 64,
    }
    newer = {**layer, "short_filter_order": 5}
    assert convert_options({"d_model": 8, "n_layer": 2, "layer": newer})["short_filter_order"] == 5


def test_what_is_not_implemented_is_refused():
    with pytest.raises(InputError, match=r"layer\.bidirectional: True is not supported"):
        convert_options({"d_model": 8, "n_layer": 2, "layer": {"l_max": 9, "bidirectional": True}})
    with pytest.raises(InputError, match=r"no layer\.l_max"):
        convert_options({"d_model": 8, "n_layer": 2})


def test_files_that_do_not_belong_together_are_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "n_layer": 3}))
    with pytest.raises(InputError, match="lacks"):
        convert_folder(folder)
    (folder / "config.json").write_text(json.dumps({**config, "n_layer": 1}))
    with pytest.raises(InputError, match="beyond this config"):
        convert_folder(folder)
    (folder / "config.json").write_text(json.dumps({**config, "d_inner": 65}))
    with pytest.raises(InputError, match=r"should be \(65,\) by the config, but is \(64,\)"):
        convert_folder(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(InputError, match="no JSON"):
        convert_folder(folder)
    (folder / "config.json").unlink()
    with pytest.raises(UsageError, match=r"no config\.json"):
        convert_folder(folder)


def test_frequencies_that_should_be_one_must_be_equal():
    key = "model.backbone.layers.0.mixer.layer.filter_fn.implicit_filter.{}.freq"
    same = {key.format(index): torch.full((1, 4), 10.0) for index in (1, 3, 5)}
    first = "hyena.backbone.layers.0.mixer.filter_fn.implicit_filter.1.freq"
    assert convert_tensors(same, Path("x")).keys() == {first}
    same[key.format(5)] = torch.zeros(1, 4)
    with pytest.raises(InputError, match=r"5\.freq differs"):
        convert_tensors(same, Path("x"))


def test_the_fixtures_hold_what_ordinary_readers_refuse():
    with pytest.raises(Exception, match="Weights only load failed"):
        torch.load(GOLDEN / "hyenadna_orig_gradckpt_keys" / "weights.ckpt", weights_only=True)
    assert np.all(
        [
            key.startswith(("model.", "t", "v"))
            for key in read_tensors(GOLDEN / "hyenadna_orig_gradckpt_keys" / "weights.ckpt")
        ]
    )
