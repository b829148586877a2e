"""The restatement itself: it gives the numbers that the original code gave, to 1e-9."""

import json
import pickle
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from tests.models.original import caduceus, hyenadna, losses, mamba

GOLDEN = Path(__file__).parents[2] / "fixtures" / "golden"
NAMES = sorted(
    path.parent.name
    for path in GOLDEN.glob("*/config.json")
    if path.parent.name.startswith(("caduceus_", "hyenadna_", "mamba_uni"))
)


def relative(ours, theirs):
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


class Unpickler(pickle.Unpickler):
    """Our own fixtures name classes of packages that are not there; their tensors are enough."""

    def find_class(self, module_name, global_name):
        if (
            module_name.split(".")[0] in ("torch", "collections")
            and module_name != "torch.serialization"
        ):
            return super().find_class(module_name, global_name)
        return type(global_name, (SimpleNamespace,), {"__setstate__": lambda self, state: None})


def read_lightning(folder):
    """Tensors and config of an original folder, under the names of the Hugging Face layout."""
    reader = SimpleNamespace(Unpickler=Unpickler, __name__="fixtures", load=pickle.load)
    file = torch.load(folder / "weights.ckpt", pickle_module=reader, weights_only=False)
    tensors = {
        re.sub(r"\.(mixer|mlp)\.layer\.", r".\1.", key.removeprefix("model.")): value.numpy()
        for key, value in file["state_dict"].items()
        if key.startswith("model.")
    }
    written = json.loads((folder / "config.json").read_text())
    layer = written["layer"]
    config = {
        **written,
        "max_seq_len": layer["l_max"],
        "emb_dim": layer["emb_dim"],
        "activation_freq": layer["w"],
        "num_inner_mlps": 2,
        "layer_norm_epsilon": 1e-5,
        "tie_word_embeddings": True,
    }
    return tensors, config


def read(name):
    with np.load(GOLDEN / name / "expected.npz") as arrays:
        expected = dict(arrays)
    if (GOLDEN / name / "weights.ckpt").exists():
        return *read_lightning(GOLDEN / name), expected
    config = json.loads((GOLDEN / name / "config.json").read_text())
    return load_file(GOLDEN / name / "model.safetensors"), config, expected


def run(name, tensors, config, ids):
    family = hyenadna if name.startswith("hyenadna") else caduceus
    if "seqcls" not in name:
        return family.language_model(tensors, config, ids)
    return family.classifier(tensors, config, ids)


def loss_of(name, logits, expected):
    labels = expected.get("labels", expected["input_ids"])
    if "seqcls" in name:
        return losses.classification_loss(logits, labels)
    if name.startswith("hyenadna"):
        return losses.causal_lm_loss(logits, labels)
    return losses.masked_lm_loss(logits, labels, expected.get("loss_weights"))


def test_every_kind_of_fixture_is_there():
    assert len(NAMES) >= 15


@pytest.mark.parametrize("name", NAMES)
def test_the_restatement_gives_the_numbers_of_the_original(name):
    tensors, config, expected = read(name)
    output = run(name, tensors, config, expected["input_ids"])
    prefix = "lm_" if name.startswith("hyenadna_orig") else ""
    assert relative(output.logits, expected[f"{prefix}logits_f64"]) < 1e-9
    loss = loss_of(name, output.logits, expected)
    assert loss == pytest.approx(float(expected[f"{prefix}loss_f64"]), rel=1e-9)
    if "last_hidden_f64" in expected:
        assert relative(output.last_hidden, expected["last_hidden_f64"]) < 1e-9
    stored = [key for key in expected if re.fullmatch(r"hidden\d+_f32", key)]
    assert not stored or len(output.hidden_states) == len(stored)
    for key in stored:
        index = int(key.removeprefix("hidden").removesuffix("_f32"))
        assert relative(output.hidden_states[index], expected[key]) < 2e-5
    if "rc_logits_f32" in expected:
        there = run(name, tensors, config, expected["rc_input_ids"])
        assert relative(there.logits, expected["rc_logits_f32"]) < 2e-5


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("hyenadna_orig")])
def test_the_restated_filter_is_the_originals(name):
    tensors, config, expected = read(name)
    filters = mamba.part(tensors, "backbone.layers.0.mixer.filter_fn.")
    wanted = expected["layer0_filter_f32"]
    assert relative(hyenadna.long_filter(filters, config, len(wanted), 0.05), wanted) < 2e-5
    filters = {key: value for key, value in filters.items() if "pos_emb" not in key}
    del filters["modulation.deltas"]
    assert relative(hyenadna.long_filter(filters, config, len(wanted), 0.05), wanted) < 2e-5
