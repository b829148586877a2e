"""Damaged folders, and files that do not belong together: one line that says what is wrong."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import genolm
from genolm.errors import InputError, UsageError
from tests.models.original.folders import (
    make_classifier,
    make_config,
    make_tensors,
    write_bin,
    write_folder,
    write_shards,
)

BLOCK = "caduceus.backbone.layers.1.mixer"
STEPS = f"{BLOCK}.mamba_fwd.x_proj.weight"
WORDS = "caduceus.backbone.embeddings.word_embeddings.weight"
FILTER = "hyena.backbone.layers.0.mixer.filter_fn"
FIRST_OF_TWO = "model-00001-of-00002.safetensors"
INDEX = "model.safetensors.index.json"


def publish(folder, family="caduceus", *, write=write_folder, drawn=None, **options):
    config = make_config(family, **options)
    return write(folder, config, make_tensors(config, 3, **(drawn or {})))


def edit(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def drop(folder, key):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    del config[key]
    path.write_text(json.dumps(config))


def rewrite(folder, change):
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def refuse(folder, *parts, kind=InputError, **options):
    """The folder is refused in one line that holds all of these; returns the line."""
    with pytest.raises((InputError, UsageError)) as caught:
        genolm.load(folder, **options)
    line = str(caught.value)
    assert type(caught.value) is kind, line
    assert "\n" not in line
    assert str(folder) in line
    for part in parts:
        assert part in line, line
    return line


@pytest.mark.parametrize("family", ["caduceus", "hyenadna"])
def test_the_folders_that_are_damaged_below_load_when_they_are_not(family, tmp_path):
    for write in (write_folder, write_bin, write_shards):
        model, _ = genolm.load(publish(tmp_path / write.__name__, family, write=write))
        assert model.config.model_type == family


@pytest.mark.parametrize("lost", [1, 100, 5000])
def test_a_safetensors_file_that_is_cut_short(lost, tmp_path):
    path = publish(tmp_path) / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-lost])
    found = f"expected a file of {len(whole)} bytes, found {len(whole) - lost}"
    line = refuse(tmp_path, "weights are damaged", "model.safetensors", found)
    key = line.split(": ")[3]
    assert key in make_tensors(make_config("caduceus"), 3)


@pytest.mark.parametrize("left", [0, 5, 8, 600])
def test_a_safetensors_file_without_its_whole_header(left, tmp_path):
    path = publish(tmp_path) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:left])
    refuse(tmp_path, "weights are damaged", "expected a header of", f"found {left} bytes")


def test_a_safetensors_file_of_something_else(tmp_path):
    publish(tmp_path)
    (tmp_path / "model.safetensors").write_bytes((5).to_bytes(8, "little") + b"[1,2]")
    refuse(tmp_path, "weights are damaged", "expected a header that names tensors")


def test_a_shard_that_is_cut_short_or_absent(tmp_path):
    path = publish(tmp_path, write=write_shards) / FIRST_OF_TWO
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    refuse(tmp_path, FIRST_OF_TWO, f"of {len(whole)} bytes, found {len(whole) - 9}")
    path.unlink()
    refuse(tmp_path, FIRST_OF_TWO, kind=UsageError)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"weight_map": 3}'])
def test_an_index_that_is_none(content, tmp_path):
    publish(tmp_path, write=write_shards)
    (tmp_path / INDEX).write_text(content)
    refuse(tmp_path, INDEX, "weight_map")


def test_a_bin_file_that_is_cut_short_or_no_checkpoint(tmp_path):
    path = publish(tmp_path, write=write_bin) / "pytorch_model.bin"
    path.write_bytes(path.read_bytes()[:-400])
    refuse(tmp_path, "pytorch_model.bin", "cut short")
    path.write_text("version https://git-lfs.github.com/spec/v1\n")
    refuse(tmp_path, "pytorch_model.bin", "no checkpoint")


@pytest.mark.parametrize("shape", [(3, 4), (33,), (24, 33), (33, 24, 1)])
def test_a_tensor_of_another_shape(shape, tmp_path):
    publish(tmp_path)
    rewrite(tmp_path, lambda tensors: {**tensors, STEPS: np.ones(shape, np.float32)})
    refuse(tmp_path, STEPS, "expected (33, 24)", f"found {shape}", "another shape of 1 tensors")


@pytest.mark.parametrize("key", [STEPS, WORDS, "caduceus.backbone.norm_f.weight"])
def test_a_tensor_that_is_missing(key, tmp_path):
    publish(tmp_path)
    expected = load_file(tmp_path / "model.safetensors")[key].shape
    rewrite(tmp_path, lambda tensors: {name: tensors[name] for name in tensors if name != key})
    refuse(tmp_path, key, f"expected shape {expected}, found none")


def test_a_tensor_that_no_model_has(tmp_path):
    publish(tmp_path)
    key = f"{BLOCK}.mamba_fwd.gate.weight"
    rewrite(tmp_path, lambda tensors: {**tensors, key: np.ones(3, np.float32)})
    refuse(tmp_path, key, "expected none of this name, found one")


@pytest.mark.parametrize("family", ["caduceus", "hyenadna"])
@pytest.mark.parametrize("key", ["d_model", "n_layer", "vocab_size", "model_type"])
def test_a_config_that_lacks_a_key(key, family, tmp_path):
    drop(publish(tmp_path, family), key)
    if key == "model_type":
        refuse(tmp_path, "model_type None", "caduceus, hyenadna", kind=UsageError)
    else:
        refuse(tmp_path, "config.json", f"lacks {key}: expected d_model, n_layer")


def test_a_config_that_does_not_say_what_positions_are_measured_in(tmp_path):
    # Without the buffers nothing in the file tells: the filters would be wrong, unseen.
    drop(publish(tmp_path, "hyenadna", drawn={"buffers": False}), "max_seq_len")
    refuse(tmp_path, "config.json lacks max_seq_len")


@pytest.mark.parametrize("said", ["bert", None, 3, ["caduceus"], "Caduceus"])
def test_a_model_type_that_is_unknown(said, tmp_path):
    edit(publish(tmp_path), model_type=said)
    refuse(tmp_path, f"model_type {said!r}", "caduceus, hyenadna", kind=UsageError)


def test_an_architecture_of_another_family_or_none(tmp_path):
    publish(tmp_path)
    for said in ("HyenaDNAForCausalLM", "BertForMaskedLM", 3):
        edit(tmp_path, architectures=[said])
        refuse(tmp_path, f"{said!r}", "CaduceusForMaskedLM", kind=UsageError)
    edit(tmp_path, architectures="CaduceusForMaskedLM")
    refuse(tmp_path, "architectures", "expected a list", "'CaduceusForMaskedLM'")


@pytest.mark.parametrize(("family", "other"), [("caduceus", "hyenadna"), ("hyenadna", "caduceus")])
def test_a_config_of_the_other_family(family, other, tmp_path):
    edit(publish(tmp_path, family), model_type=other, max_seq_len=66)
    refuse(tmp_path, "config.json", f"a {other} model has no option")


@pytest.mark.parametrize(
    ("family", "options", "changes", "parts"),
    [
        ("caduceus", {}, {"n_layer": 3}, ("n_layer: expected 3", "found 2", "layers.2.")),
        ("caduceus", {}, {"n_layer": 1}, ("n_layer: expected 1", "found 2", "layers.1.")),
        ("caduceus", {"rcps": True}, {"n_layer": 12}, ("n_layer: expected 12", "found 2")),
        ("hyenadna", {}, {"n_layer": 4}, ("n_layer: expected 4", "found 2", "layers.2.")),
        ("hyenadna", {}, {"n_layer": 1}, ("n_layer: expected 1", "found 2", "layers.1.")),
        ("caduceus", {}, {"d_model": 24}, (WORDS, "expected (16, 24), found (16, 12)")),
        ("caduceus", {}, {"vocab_size": 17}, (WORDS, "expected (24, 12), found (16, 12)")),
        (
            "caduceus",
            {},
            {"ssm_cfg": {"d_state": 8}},
            ("mamba_fwd.A_log", "expected (24, 8), found (24, 16)"),
        ),
        (
            "caduceus",
            {},
            {"ssm_cfg": {"d_conv": 3}},
            ("conv1d.weight", "expected (24, 1, 3), found (24, 1, 4)"),
        ),
        ("caduceus", {}, {"rms_norm": False}, ("norm.bias", "expected shape (12,), found none")),
        ("caduceus", {}, {"rcps": True}, ("embedding.weight", "expected shape (16, 12)")),
        ("caduceus", {}, {"bidirectional": False}, ("mamba_rev.", "expected none")),
        ("caduceus", {}, {"bidirectional_weight_tie": False}, ("mamba_rev.in_proj", "found none")),
        (
            "caduceus",
            {"rcps": True},
            {"fused_add_norm": False},
            ("norm.submodule.weight", "expected shape (12,), found none"),
        ),
        (
            "hyenadna",
            {},
            {"max_seq_len": 40},
            (f"{FILTER}.pos_emb.t", "expected (1, 40, 1), found (1, 66, 1)"),
        ),
        (
            "hyenadna",
            {},
            {"emb_dim": 7},
            (f"{FILTER}.implicit_filter.0.weight", "expected (8, 7), found (8, 5)"),
        ),
        ("hyenadna", {}, {"num_inner_mlps": 3}, ("implicit_filter.6.bias", "found none")),
        (
            "hyenadna",
            {},
            {"short_filter_order": 4},
            ("short_filter.weight", "expected (30, 1, 4), found (30, 1, 3)"),
        ),
        ("hyenadna", {}, {"d_inner": 40}, ("mlp.fc1.bias", "expected (40,), found (20,)")),
        (
            "hyenadna",
            {},
            {"tie_word_embeddings": True},
            ("tie_word_embeddings", "lm_head.weight", "found another tensor"),
        ),
    ],
)  # fmt: skip
def test_a_config_that_disagrees_with_the_weights(family, options, changes, parts, tmp_path):
    edit(publish(tmp_path, family, **options), **changes)
    refuse(tmp_path, *parts)


def test_a_classifier_without_its_head(tmp_path):
    config = make_classifier(make_config("caduceus"), 3)
    tensors = make_tensors(config, 3)
    del tensors["score.weight"]
    write_folder(tmp_path, config, tensors)
    refuse(tmp_path, "score.weight", "expected shape (3, 12), found none")


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"n_layer": "2"}, ("n_layer must be int, got '2'",)),
        ({"n_layer": 0}, ("n_layer must be 1 or more, got 0",)),
        ({"ssm_cfg": [1]}, ("ssm_cfg must be dict or null, got [1]",)),
        ({"ssm_cfg": {"d_stat": 8}}, ("no option 'd_stat'", "d_state")),
        ({"d_modle": 12}, ("no option 'd_modle'", "d_model")),
        ({"complement_map": {"A": 10}}, ("complement_map must map token ids", "'A'")),
        ({"complement_map": {"7": 99}}, ("complement_map leaves the vocabulary of 16",)),
    ],
)
def test_a_config_with_a_value_that_cannot_be(changes, parts, tmp_path):
    edit(publish(tmp_path), **changes)
    refuse(tmp_path, "config.json", *parts)


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", [b"{", b"", b"[1]", b'"text"', b"\xff\xfe\x00", b"null"])
def test_a_file_that_is_no_json_object(content, file, tmp_path):
    (publish(tmp_path) / file).write_bytes(content)
    refuse(tmp_path, file, "no JSON object")
